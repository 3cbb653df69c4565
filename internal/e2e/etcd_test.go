package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A member is one etcd of a cluster.
type member struct {
	*process
	index  int // in the cluster
	name   string
	client string // the address for clients
	peer   string // the address for other members
}

// etcdCluster starts one etcd for each certificate that is named, which it has
// for clients. To each other they are peer-1, peer-2 and so on. Half of the
// members is no majority: the cluster works only if all trust each other.
func (s *shell) etcdCluster(t *testing.T, certificates ...string) (members []*member) {
	t.Helper()
	return s.cluster(t, "health", len(certificates), func(m *member, initial string) *process {
		return s.start(t, m.line(initial, "https://"+m.client, issued(certificates[m.index]), issued(fmt.Sprintf("peer-%d", m.index+1))))
	})
}

// cluster starts n members, and waits for them with a client's certificate.
func (s *shell) cluster(t *testing.T, client string, n int, start func(m *member, initial string) *process) (members []*member) {
	t.Helper()
	reader := httpClient(t, s.tlsConfig(t, client))
	onFreePorts(t, 2*n, func(addresses []string) error {
		for _, m := range members {
			m.stop()
		}
		members = nil
		var initial []string
		for i := range n {
			m := &member{index: i, name: fmt.Sprintf("m%d", i+1), client: addresses[2*i], peer: addresses[2*i+1]}
			members = append(members, m)
			initial = append(initial, m.name+"=https://"+m.peer)
		}
		for _, m := range members {
			m.process = start(m, strings.Join(initial, ","))
		}
		// One that could not start keeps the others waiting.
		failed := func() bool { return slices.ContainsFunc(members, func(m *member) bool { return m.ended() }) }
		for _, m := range members {
			err := m.await("the cluster", func() bool { return failed() || healthy(reader, m) })
			for _, m := range members {
				if err == nil && m.ended() {
					err = m.await("the cluster", func() bool { return false })
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return members
}

// line is the member's command line. It demands certificates of clients and of
// other members.
func (m *member) line(cluster, advertise string, server, peer folder) string {
	return m.plainLine(cluster, advertise) +
		" --client-cert-auth --trusted-ca-file " + server.ca() + " --cert-file " + server.crt() + " --key-file " + server.key() +
		" --peer-client-cert-auth --peer-trusted-ca-file " + peer.ca() + " --peer-cert-file " + peer.crt() + " --peer-key-file " + peer.key()
}

// plainLine is the member's command line without certificates.
func (m *member) plainLine(cluster, advertise string) string {
	return "etcd --logger zap --log-outputs stderr --name " + m.name +
		" --data-dir " + strings.ReplaceAll(m.peer, ":", "-") +
		" --listen-client-urls https://" + m.client + " --advertise-client-urls " + advertise +
		" --listen-peer-urls https://" + m.peer + " --initial-advertise-peer-urls https://" + m.peer +
		" --initial-cluster " + cluster
}

// healthy reports whether a member is part of a cluster with a leader.
func healthy(c *http.Client, m *member) bool {
	resp, err := c.Get("https://" + m.client + "/health")
	if err != nil {
		return false
	}
	body, err := io.ReadAll(resp.Body)
	return resp.Body.Close() == nil && err == nil && strings.Contains(string(body), `"health":"true"`)
}

func TestEtcd(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"etcd", "etcdctl", "curl"},
		"issue peer peer-1 127.0.0.1",
		"issue peer peer-2 127.0.0.1",
		"issue server front localhost 127.0.0.1",
		"issue client health",
		"issue client admin --cn root",
		"issue client alice",
		"issue client apisix@apache.org --cn=",
		"--pki pki-other init-ca --org Acme",
		"--pki pki-other issue client admin --cn root",
		"--pki pki-other issue peer peer-1 127.0.0.1",
	)
	members := s.etcdCluster(t, "peer-1", "front")
	first, second := members[0], members[1]
	etcdctl := func(m *member, name string) string {
		return "etcdctl --dial-timeout 60s --command-timeout 60s --cacert " + ca + " --endpoints https://" + m.client +
			" --cert " + crt(name) + " --key " + key(name) + " "
	}

	t.Run("clients", func(t *testing.T) {
		s.ok(t, etcdctl(first, "apisix@apache.org")+"put /apisix/routes one").mustSay(t, "OK")
		// What one member was told, the other knows: they replicate over mutual TLS.
		s.ok(t, etcdctl(second, "alice")+"get /apisix/routes --print-value-only").mustSay(t, "one\n")
		s.ok(t, etcdctl(second, "alice")+"member list").mustSay(t, "m1, https://"+first.peer, "m2, https://"+second.peer)
	})

	// A client learns of a refusal, if it is quick, by an alert that does not say
	// why. The member that refuses logs the reason.
	foreign := func(name string) string { return strings.ReplaceAll(as(name), "pki/", "pki-other/") }
	for _, c := range []struct{ name, identity, log string }{
		{"nobody", "", "tls: client didn't provide a certificate"},
		{"other CA", foreign("admin"), "certificate signed by unknown authority"},
		{"server certificate", as("front"), "certificate specifies an incompatible key usage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, at := range []string{second.client, second.peer} {
				mark := len(second.log())
				s.refused(t, "curl: (", curl+"--http1.1 "+c.identity+"https://"+at+"/version")
				second.mustLog(t, mark, "rejected connection", c.log)
			}
		})
	}
	t.Run("peers", func(t *testing.T) {
		// The same door that was closed above is open to a peer, but not to one of
		// another CA.
		s.ok(t, curl+"--http1.1 "+as("peer-1")+"https://"+second.peer+"/version").mustSay(t, "etcdcluster")
		mark := len(second.log())
		s.refused(t, "curl: (", curl+"--http1.1 "+foreign("peer-1")+"https://"+second.peer+"/version")
		second.mustLog(t, mark, "rejected connection", "certificate signed by unknown authority")
	})
	t.Run("etcdctl without certificate", func(t *testing.T) {
		mark := len(second.log())
		s.refused(t, "context deadline exceeded", "etcdctl --dial-timeout 2s --command-timeout 2s --cacert "+ca+" --endpoints https://"+second.client+" get /")
		second.mustLog(t, mark, "tls: client didn't provide a certificate")
	})

	// The JSON gateway of a member is a client of the same member, and presents
	// its server certificate: that must be a peer's.
	t.Run("gateway", func(t *testing.T) {
		call := func(m *member) string {
			return curl + as("alice") + "-d {\"key\":\"L2FwaXNpeC9yb3V0ZXM=\"} https://" + m.client + "/v3/kv/range"
		}
		s.ok(t, call(first)).mustSay(t, `"value":"b25l"`)
		mark := len(second.log())
		if out := s.run(t, call(second)); strings.Contains(out.stdout, `"value"`) {
			t.Errorf("a server certificate is enough: mend what the guides say\n%v", out)
		}
		second.mustLog(t, mark, "certificate specifies an incompatible key usage")
	})

	// The last, since from then on names count: the common name is the user.
	t.Run("auth", func(t *testing.T) {
		for _, line := range []string{
			"user add root --no-password",
			"user grant-role root root",
			"user add alice --no-password",
			"role add routes",
			"role grant-permission routes readwrite --prefix=true /apisix/",
			"user grant-role alice routes",
			"auth enable",
		} {
			s.ok(t, etcdctl(first, "admin")+line)
		}
		s.ok(t, etcdctl(first, "alice")+"put /apisix/routes two").mustSay(t, "OK")
		s.ok(t, etcdctl(second, "admin")+"get /apisix/routes --print-value-only").mustSay(t, "two\n")
		s.refused(t, "permission denied", etcdctl(first, "alice")+"put /elsewhere three")
		for client, user := range map[string]string{"health": "health", "apisix@apache.org": ""} {
			mark := len(first.log())
			s.refused(t, "permission denied", etcdctl(first, client)+"get /apisix/routes")
			first.mustLog(t, mark, `"cannot find a user for permission check","user-name":"`+user+`"`)
		}
	})
}

// httpClient is a client of the test's own.
func httpClient(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}
