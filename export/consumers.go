package export

// The words of layouts that many consumers share.
var (
	usualFiles = Layout{item("tls.crt", Chain), item("tls.key", Key), item("ca.crt", Roots), maybe("crl.pem", CRLs)}
	trustFiles = Layout{item("ca.crt", Roots), maybe("crl.pem", CRLs)}
)

// consumers is the one table of who takes what: in which formats, for which
// certificates, in which layout. What a consumer refuses, and the lines of its
// configuration, are named in its row and stand in the consumer_*.go files. A new
// consumer is a row here and a row in the test.
var consumers = []Consumer{
	// Servers and proxies.
	{
		Name: "nginx", Title: "nginx",
		shapes: []consumerShape{
			{format: "pem", roles: "server client", layout: usualFiles},
			{format: "pem", roles: "authority", layout: trustFiles},
		},
		config: nginxConfig,
	},

	// Kubernetes.
	{
		Name: "agc", Title: "Azure Application Gateway for Containers",
		shapes: []consumerShape{
			{format: "secret", roles: "authority", layout: Layout{item("ca.crt", Roots)}, object: "ca.bundle"},
			{format: "secret", roles: "server client", layout: tlsSecret},
		},
	},
}
