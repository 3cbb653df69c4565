package profiles

// Server is for whatever accepts TLS connections: at least one DNS name or IP
// address, by which clients find it.
func Server() *Profile {
	return builtin("server", Config{
		Description: "a TLS server, found by DNS name or IP address",
		Usages:      []string{"digital signature", "key encipherment", "server auth"},
		SANs:        SANConfig{Required: []string{"dns", "ip"}},
	})
}

// Client is for whoever opens TLS connections: a person, a service, a device,
// with any kind of name. Clients only sign: key encipherment is no usage of
// theirs (RFC 5280 section 4.2.1.12).
func Client() *Profile {
	return builtin("client", Config{
		Description: "a TLS client: a person, a service, a device",
		Usages:      []string{"digital signature", "client auth"},
	})
}

// Peer is for members of a cluster, which are servers and clients to each
// other: etcd, Consul, NATS routes, PostgreSQL replicas.
func Peer() *Profile {
	return builtin("peer", Config{
		Description: "a cluster member: TLS server and client at once",
		Usages:      []string{"digital signature", "key encipherment", "server auth", "client auth"},
		SANs:        SANConfig{Required: []string{"dns", "ip"}},
	})
}

// SPIFFE is for workloads: an X.509-SVID with exactly one SPIFFE ID, which is
// the only URI, and both TLS usages (X509-SVID sections 2 and 4).
func SPIFFE() *Profile {
	return builtin("spiffe", Config{
		Description: "a SPIFFE workload (X.509-SVID)",
		Usages:      []string{"digital signature", "key encipherment", "server auth", "client auth"},
		SANs: SANConfig{
			Allowed:  []string{"spiffe", "dns", "ip", "email"},
			Required: []string{"spiffe"},
		},
	})
}

// Builtin returns the built-in profiles.
func Builtin() []*Profile {
	return []*Profile{Server(), Client(), Peer(), SPIFFE()}
}

// builtin makes a profile of a literal, which the tests prove to be sound.
func builtin(name string, c Config) *Profile {
	p, err := New(name, c)
	if err != nil {
		panic(err)
	}
	return p
}
