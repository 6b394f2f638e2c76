#!/bin/bash
# Turns a Debian root into a kind node; runs in a container of that root with the parts in /parts:
# kind/ (kind's own node files), files/ (ours), bin/ (programs), cni/ (plugins), images/ (archives).
# What it does follows the steps of kind's base and node images.
set -euo pipefail
version=$1 pause=$2

cp -r --no-preserve=mode,ownership /parts/kind/. /parts/files/. /
chmod 0755 /kind /kind/bin /kind/bin/* /usr/local/bin/*
install -m 0755 -t /usr/bin /parts/bin/kube{adm,let,ctl}
install -m 0755 -t /usr/local/bin /parts/bin/{containerd,containerd-shim-runc-v2,ctr}
install -D -m 0755 -t /opt/cni/bin /parts/cni/*

# systemd: only what a node runs
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >>/etc/systemd/journald.conf
# Raising limits and lowering oom scores needs CAP_SYS_RESOURCE, which the machine may lack.
sed -i '/^OOMScoreAdjust=/d; /^Limit/d' /etc/systemd/system/containerd.service
systemctl enable -q kubelet containerd undo-mount-hacks selfhealing-net
systemctl mask -q systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests /etc/selfhealing

ctr oci spec |
  jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
    >/etc/containerd/cri-base.json
sed -i "s|sandbox_image = .*|sandbox_image = \"$pause\"|; s|restrict_oom_score_adj = .*|restrict_oom_score_adj = true|" \
  /etc/containerd/config.toml
printf %s "$version" >/kind/version

containerd >/tmp/containerd.log 2>&1 &
containerd=$!
for _ in $(seq 100); do
  ctr version >/dev/null 2>&1 && break
  sleep 0.1
done
for archive in /parts/images/*.tar; do
  ctr -n k8s.io image import --local --no-unpack "$archive"
done
kill "$containerd" && wait "$containerd" || true
rm -rf /tmp/* /var/log/*.log /var/cache/apt/* /var/lib/apt/lists/* /run/containerd
