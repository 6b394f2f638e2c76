#!/bin/bash
# Keeps this node's pod network: routes to the other nodes' pods, and a way out for its own.
# kindnetd does this in the stock image. Names, not addresses, are in the file, and they are looked
# up again and again: a node that was killed and started may come back with another address.
#
# A Service's address that kube-proxy does not know yet must not leave the node: a gateway outside
# may answer it, and a client that keeps its connection would ask that stranger for ever.
set -u
peers=/etc/selfhealing/peers pods=10.244.0.0/16 services=10.96.0.0/16
refuse_unknown_services() {
  local chain rule
  for chain in FORWARD OUTPUT; do  # after the translation of the addresses that are known
    rule=("$chain" -d "$services" -m comment --comment selfhealing -j REJECT)
    iptables -w -C "${rule[@]}" 2>/dev/null || iptables -w -A "${rule[@]}"
  done
}
refuse_unknown_services
while sleep 2; do
  refuse_unknown_services
  [ -s "$peers" ] || continue
  rule=(POSTROUTING -s "$pods" '!' -d "$pods" -m comment --comment selfhealing -j MASQUERADE)
  iptables -w -t nat -C "${rule[@]}" 2>/dev/null || iptables -w -t nat -A "${rule[@]}"
  while read -r cidr name; do
    address=$(timeout 2 getent ahostsv4 "$name" | head -n1 | cut -d' ' -f1)
    [ -n "$address" ] || continue
    case "$(ip -4 route show "$cidr")" in
    "$cidr via $address "*) ;;
    *) ip route replace "$cidr" via "$address" ;;
    esac
  done <"$peers"
done
