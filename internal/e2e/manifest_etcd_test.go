package e2e

import "testing"

// TestManifestEtcd runs etcd with its Secret, and APISIX's as its client. APISIX
// speaks to the JSON gateway, with which etcd is its own client.
func TestManifestEtcd(t *testing.T) {
	t.Parallel()
	s := newShell(t, "etcd", "curl")
	all, others := s.apply(t, "apisix.yaml", ""), s.apply(t, "apisix.yaml", "--pki pki-other")
	etcd := s.mount(t, all, "tls/etcd-secret", "etcd")
	apisix := s.mount(t, all, "tls/apisix-client-secret", "apisix")
	other := s.mount(t, others, "tls/apisix-client-secret", "other")

	config := s.tlsConfigAt(t, apisix)
	config.ServerName = "etcd"
	m := &member{name: "m1"}
	onFreePorts(t, 2, func(addresses []string) error {
		m.client, m.peer = addresses[0], addresses[1]
		m.process = s.start(t, m.line("m1=https://"+m.peer, "https://etcd:2379", etcd, etcd))
		reader := httpClient(t, config)
		return m.await("etcd", func() bool { return healthy(reader, m) })
	})
	curl, url := curlTo("etcd", m.client, etcd)

	t.Run("client", func(t *testing.T) {
		s.ok(t, curl+apisix.as()+`-d {"key":"L2FwaXNpeC9yb3V0ZXM=","value":"b25l"} `+url+"/v3/kv/put").mustSay(t, `"revision":"2"`)
		s.ok(t, curl+apisix.as()+`-d {"key":"L2FwaXNpeC9yb3V0ZXM="} `+url+"/v3/kv/range").mustSay(t, `"value":"b25l"`)
	})
	for _, c := range []struct{ name, identity, log string }{
		{"nobody", "", "tls: client didn't provide a certificate"},
		{"other CA of the same names", other.as(), "certificate signed by unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark := len(m.log())
			s.refused(t, "curl: (", curl+"--http1.1 "+c.identity+url+"/version")
			m.mustLog(t, mark, "rejected connection", c.log)
		})
	}
	t.Run("other name", func(t *testing.T) {
		s.refused(t, "127.0.0.1", curl+apisix.as()+"https://"+m.client+"/version")
	})
	t.Run("other root", func(t *testing.T) {
		curl, url := curlTo("etcd", m.client, other)
		s.refused(t, "certificate", curl+apisix.as()+url+"/version")
	})
}
