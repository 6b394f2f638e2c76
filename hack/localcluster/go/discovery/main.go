// Discovery tells Prometheus, in the form of http_sd, which pods to scrape: the running ones of every
// SelfHealingApp. Debian's Prometheus is built without the discovery of Kubernetes itself.
//
// It runs beside Prometheus, with its ServiceAccount, and keeps nothing: each question to it is one
// to the API server, which answers from its own memory.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	address  = ":8080"
	account  = "/var/run/secrets/kubernetes.io/serviceaccount/"
	label    = "selfhealing.dev/app"
	portName = "http"
	fakeNode = "kwok-node-" // runs nothing that could answer
	patience = 4 * time.Second
	largest  = 256 << 20 // bytes of an answer: some ten thousand pods
)

type podList struct {
	Items []struct {
		Metadata struct {
			Name, Namespace string
			Labels          map[string]string
		}
		Spec struct {
			NodeName   string
			Containers []struct {
				Ports []struct {
					Name          string
					ContainerPort int
				}
			}
		}
		Status struct{ PodIP string }
	}
}

type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func main() {
	client, err := newClient()
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /targets", func(answer http.ResponseWriter, _ *http.Request) {
		pods, err := list(client)
		if err != nil {
			log.Print(err)
			http.Error(answer, err.Error(), http.StatusBadGateway)
			return
		}
		answer.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(answer).Encode(groups(pods)); err != nil {
			log.Print(err)
		}
	})
	server := http.Server{Addr: address, Handler: mux, ReadTimeout: patience, WriteTimeout: 3 * patience}
	log.Fatal(server.ListenAndServe())
}

func newClient() (*http.Client, error) {
	pem, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, fmt.Errorf("this runs in a pod with a ServiceAccount only: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the ServiceAccount's ca.crt holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	return &http.Client{Transport: transport, Timeout: patience}, nil
}

// list asks the API server; any of its answers will do that is at most a moment old.
func list(client *http.Client) (*podList, error) {
	token, err := os.ReadFile(account + "token") // renewed by the kubelet
	if err != nil {
		return nil, err
	}
	host := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	query := url.Values{
		"labelSelector":   {label},
		"fieldSelector":   {"status.phase=Running"},
		"resourceVersion": {"0"},
	}
	request, err := http.NewRequest(http.MethodGet, "https://"+host+"/api/v1/pods?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	request.Header.Set("Accept", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API server answers %s to a list of pods", answer.Status)
	}
	pods := &podList{}
	return pods, json.NewDecoder(io.LimitReader(answer.Body, largest)).Decode(pods)
}

// groups makes a target of each port of that name; Prometheus wants a list, even an empty one.
func groups(pods *podList) []group {
	found := []group{}
	for _, pod := range pods.Items {
		if pod.Status.PodIP == "" || strings.HasPrefix(pod.Spec.NodeName, fakeNode) {
			continue
		}
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.Name == portName {
					found = append(found, group{
						Targets: []string{net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port.ContainerPort))},
						Labels: map[string]string{
							"namespace": pod.Metadata.Namespace,
							"pod":       pod.Metadata.Name,
							"app":       pod.Metadata.Labels[label],
						},
					})
				}
			}
		}
	}
	return found
}
