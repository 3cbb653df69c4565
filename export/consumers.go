package export

// The words of layouts that many consumers share.
var (
	usualFiles = Layout{item("tls.crt", Chain), item("tls.key", Key), item("ca.crt", Roots), maybe("crl.pem", CRLs)}
	trustFiles = Layout{item("ca.crt", Roots), maybe("crl.pem", CRLs)}
	plainFiles = Layout{item("tls.crt", Chain), item("tls.key", Key), item("ca.crt", Roots)} // there is no place for CRLs
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
	{
		Name: "haproxy", Title: "HAProxy",
		shapes: []consumerShape{
			{format: "pem", roles: "server client", layout: Layout{item("*.pem", Chain, Key), item("ca.crt", Roots), maybe("crl.pem", CRLs)}},
			{format: "pem", roles: "authority", layout: trustFiles},
		},
		rules:  []rule{notCalled("crl")},
		config: haproxyConfig,
	},
	{
		Name: "envoy", Title: "Envoy",
		shapes: []consumerShape{
			{format: "pem", roles: "server client", layout: usualFiles},
			{format: "pem", roles: "authority", layout: trustFiles},
		},
		config: envoyConfig,
	},
	{
		Name: "consul", Title: "Consul", ownUser: true, peers: true,
		shapes: []consumerShape{{format: "pem", roles: "server client", layoutOf: consulFiles}},
		rules:  []rule{needsBoth("servers ask each other for one"), consulNamed()},
		config: consulConfig,
	},

	// Databases.
	{
		Name: "etcd", Title: "etcd", ownUser: true, peers: true,
		shapes: []consumerShape{{format: "pem", roles: "server client", layout: plainFiles}},
		rules:  []rule{needsBoth("a member is a client of the others, and of itself"), needsHost("looks for the address of a member in its certificate")},
		config: etcdConfig,
	},
	{
		Name: "postgres", Title: "PostgreSQL",
		shapes: []consumerShape{
			{format: "pem", roles: "server", layout: Layout{
				item("server.crt", Chain), item("server.key", Key), item("root.crt", Roots), maybe("root.crl", CRLs),
			}},
			{format: "pem", roles: "client", layout: Layout{
				item("postgresql.crt", Chain), item("postgresql.key", Key), item("root.crt", Roots), maybe("root.crl", CRLs),
			}},
			{format: "pem", roles: "authority", layout: Layout{item("root.crt", Roots), maybe("root.crl", CRLs)}},
		},
		rules:  []rule{needsCN()},
		config: postgresConfig,
	},
	{
		Name: "mysql", Title: "MySQL or MariaDB", ownUser: true,
		shapes: []consumerShape{
			{format: "pem", roles: "server", layout: Layout{
				item("ca.pem", Roots), item("server-cert.pem", Chain), item("server-key.pem", Key), maybe("crl.pem", CRLs),
			}},
			{format: "pem", roles: "client", layout: Layout{
				item("ca.pem", Roots), item("client-cert.pem", Chain), item("client-key.pem", Key), maybe("crl.pem", CRLs),
			}},
			{format: "pem", roles: "authority", layout: Layout{item("ca.pem", Roots), maybe("crl.pem", CRLs)}},
		},
		rules:    []rule{unlikeCAs(), unlikeServers()},
		config:   mysqlConfig,
		compares: true,
	},
	{
		Name: "mongodb", Title: "MongoDB", ownUser: true,
		shapes: []consumerShape{
			{format: "pem", roles: "server", layout: Layout{item("*.pem", Chain, Key), item("ca.pem", Roots), maybe("crl.pem", CRLs)}},
			{format: "pem", roles: "client", layout: Layout{item("*.pem", Chain, Key), item("ca.pem", Roots)}},
			{format: "pem", roles: "authority", layout: Layout{item("ca.pem", Roots)}},
		},
		rules:    []rule{notCalled("ca", "crl"), memberHasAttributes(), clientHasSubject(), clientUnlikeMembers()},
		config:   mongodbConfig,
		compares: true,
	},
	{
		Name: "redis", Title: "Redis", ownUser: true,
		shapes: []consumerShape{
			{format: "pem", roles: "server client", layout: plainFiles},
			{format: "pem", roles: "authority", layout: rootsObject},
		},
		config: redisConfig,
	},

	// Message queues.
	{
		Name: "kafka", Title: "Kafka", ownUser: true,
		shapes: []consumerShape{
			{format: "pem", roles: "server client", layout: Layout{item("keystore.pem", Key, Chain), item("truststore.pem", Roots)}},
			{format: "pem", roles: "authority", layout: Layout{item("truststore.pem", Roots)}},
			{format: "jks", roles: "server client"},
		},
		rules:  []rule{needsPKCS8(), refusesEd25519("pem")},
		config: kafkaConfig,
	},
	{
		Name: "rabbitmq", Title: "RabbitMQ", ownUser: true,
		shapes: []consumerShape{
			{format: "pem", roles: "server", layout: Layout{
				item("ca_certificate.pem", Roots), item("server_certificate.pem", Chain), item("server_key.pem", Key),
			}},
			{format: "pem", roles: "client", layout: Layout{
				item("ca_certificate.pem", Roots), item("client_certificate.pem", Chain), item("client_key.pem", Key),
			}},
		},
		config: rabbitConfig,
	},
	{
		Name: "nats", Title: "NATS", ownUser: true,
		shapes: []consumerShape{{format: "pem", roles: "server client", layout: plainFiles}},
		config: natsConfig,
	},

	// Programs that open connections.
	{
		Name: "curl", Title: "curl",
		shapes: []consumerShape{
			{format: "pem", roles: "client", layout: usualFiles},
			{format: "pem", roles: "authority", layout: trustFiles},
		},
		config: curlConfig,
	},
	{
		Name: "java", Title: "Java",
		shapes: []consumerShape{
			{format: "p12", roles: "server client"},
			{format: "truststore"},
			{format: "jks", roles: "server client"},
		},
		config: javaConfig,
	},

	// Kubernetes.
	{
		Name: "ingress-nginx", Title: "ingress-nginx",
		shapes: []consumerShape{
			{format: "secret", roles: "server client", layout: mutualSecret},
			{format: "secret", roles: "authority", layout: caSecret},
		},
		config: ingressNginxConfig,
	},
	{
		Name: "gateway-api", Title: "the Gateway API",
		shapes: []consumerShape{
			{format: "secret", roles: "server client", layout: pairSecret},
			{format: "configmap", layout: rootsObject},
		},
		config: gatewayAPIConfig,
	},
	{
		Name: "agc", Title: "Azure Application Gateway for Containers",
		shapes: []consumerShape{
			{format: "secret", roles: "authority", layout: rootsObject, object: "ca.bundle"},
			{format: "secret", roles: "server client", layout: pairSecret},
		},
		config: agcConfig,
	},
	{
		Name: "traefik", Title: "Traefik in Kubernetes",
		shapes: []consumerShape{
			{format: "secret", roles: "server client", layout: Layout{item("tls.crt", Chain), item("tls.key", Key), item("tls.ca", Roots)}},
			{format: "secret", roles: "authority", layout: Layout{item("tls.ca", Roots)}},
		},
		config: traefikConfig,
	},

	// Meshes and API gateways.
	{
		Name: "apisix", Title: "APISIX",
		shapes: []consumerShape{
			{format: "apisix", roles: "server client"},
			{format: "pem", roles: "server client", layout: usualFiles},
			{format: "pem", roles: "authority", layout: rootsObject},
		},
		config: apisixConfig,
	},
	{
		Name: "istio-gateway", Title: "an Istio gateway",
		shapes: []consumerShape{
			{format: "secret", roles: "server", layout: mutualSecret},
		},
		config: istioGatewayConfig,
		trust:  "'mtlsctl export secret * --for istio-gateway-cacert' writes what verifies clients",
	},
	{
		Name: "istio-gateway-cacert", Title: "an Istio gateway that verifies clients",
		shapes: []consumerShape{
			{format: "secret", layout: Layout{item("cacert", Roots), maybe("crl", CRLs)}, object: "*" + cacertSuffix},
		},
		config: istioCACertConfig,
	},
	{
		Name: "istio-cacerts", Title: "Istio's own CA",
		shapes: []consumerShape{
			{format: "secret", roles: "authority", object: "cacerts", layout: Layout{
				item("ca-cert.pem", Leaf), item("ca-key.pem", Key), item("root-cert.pem", Roots), item("cert-chain.pem", FullChain),
				maybe("ca-crl.pem", CRLs),
			}},
		},
		rules: []rule{
			{breach: noIstioEd25519},
			{breach: noIstioUsages},
			{breach: noIstioNames},
		},
		config: istioCAConfig,
	},
	{
		Name: "linkerd", Title: "Linkerd",
		shapes: []consumerShape{
			{format: "secret", roles: "authority", object: "linkerd-identity-issuer",
				layout: Layout{item("tls.crt", Chain), item("tls.key", Key), item("ca.crt", Roots)}},
			{format: "configmap", object: "linkerd-identity-trust-roots", layout: Layout{item("ca-bundle.crt", Roots)}},
		},
		rules:  []rule{{breach: noLinkerdKeys}},
		config: linkerdConfig,
	},

	// What people use; the names are those of the readers of PKCS#12 files.
	{
		Name: "macos", Title: "macOS",
		shapes: []consumerShape{
			{format: "p12", roles: "client"},
			{format: "mobileconfig", roles: "client authority"},
		},
		rules: []rule{noImportOf("macos")},
		trust: "'mtlsctl trust install *' has this machine trust it; 'mtlsctl export mobileconfig *' is for others",
	},
	{
		Name: "ios", Title: "iOS or iPadOS",
		shapes: []consumerShape{
			{format: "p12", roles: "client"},
			{format: "mobileconfig", roles: "client authority"},
		},
		rules: []rule{noImportOf("ios")},
		trust: "'mtlsctl export mobileconfig *' writes a profile with it",
	},
	{
		Name: "windows", Title: "Windows",
		shapes: []consumerShape{{format: "p12", roles: "client"}},
		rules:  []rule{noImportOf("windows")},
		trust:  "'mtlsctl trust install *' has this machine trust it",
	},
	{
		Name: "android", Title: "Android",
		shapes: []consumerShape{
			{format: "p12", roles: "client"},
			{format: "pem", roles: "authority", layout: Layout{item("*.crt", Roots)}},
		},
		rules:  []rule{noImportOf("android")},
		config: androidConfig,
		trust:  "'mtlsctl export pem * --for android' writes it as Android installs it",
	},
	{
		Name: "firefox", Title: "Firefox",
		shapes: []consumerShape{{format: "p12", roles: "client"}},
		rules:  []rule{noImportOf("firefox")},
		trust:  "'mtlsctl trust install * --store firefox' has the Firefox of this machine trust it",
	},
	{
		Name: "chrome", Title: "Chrome",
		shapes: []consumerShape{{format: "p12", roles: "client"}},
		rules:  []rule{noImportOf("chrome")},
		trust:  "'mtlsctl trust install * --store system,chromium' has the Chrome of this machine trust it",
	},
}
