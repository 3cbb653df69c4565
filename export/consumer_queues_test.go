package export

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	jks "github.com/pavlo-v-chernykh/keystore-go/v4"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// kafkaProperties are those of gh/apache/kafka clients, SslConfigs.java,
// BrokerSecurityConfigs.java and CommonClientConfigs.java, as far as they are about
// files or about who is asked for one.
var kafkaProperties = fields{"properties": {
	"security.protocol":   "PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL",
	"ssl.client.auth":     "required|requested|none",
	"ssl.keystore.type":   "JKS|PKCS12|PEM",
	"ssl.truststore.type": "JKS|PKCS12|PEM",

	"ssl.keystore.location": "string", "ssl.keystore.password": "string", "ssl.key.password": "string",
	"ssl.keystore.key": "string", "ssl.keystore.certificate.chain": "string",
	"ssl.truststore.location": "string", "ssl.truststore.password": "string", "ssl.truststore.certificates": "string",
	"ssl.endpoint.identification.algorithm": "https",
}}

// properties reads a file as java.util.Properties does: one key and value a line,
// ISO 8859-1.
func properties(t *testing.T, text string) map[string]any {
	t.Helper()
	all := map[string]any{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		plain, err := strconv.Unquote(`"` + strings.ReplaceAll(value, `"`, `\"`) + `"`)
		if !found || err != nil || strings.ContainsFunc(value, func(r rune) bool { return r > 0xFF }) {
			t.Errorf("no property: %s", line)
		}
		all[key] = plain
	}
	if problem := kafkaProperties.misfit("properties", all, ""); problem != "" {
		t.Errorf("%s\n%s", problem, text)
	}
	return all
}

// TestKafkaByRule opens the stores as gh/apache/kafka clients,
// DefaultSslEngineFactory.java, does.
func TestKafkaByRule(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		bundle consumerBundle
		usages []x509.ExtKeyUsage
	}{
		{aServer, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
		{aPeer, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
		{aClient, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		{issued(profiles.Client(), "rsa", keyed(profiles.RSA2048)), []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		{aRoot, nil},
	} {
		b := tt.bundle(t)
		e := exportFiles(t, "kafka", oddFolder, b)
		p := properties(t, e.config)
		// Stores of PEM have no password, and neither has our key.
		for _, password := range []string{"ssl.keystore.password", "ssl.key.password", "ssl.truststore.password"} {
			if p[password] != nil {
				t.Errorf("%s is refused with PEM\n%s", password, e.config)
			}
		}
		roots := e.at(t, p["ssl.truststore.location"])
		if p["ssl.truststore.type"] != "PEM" || !bytes.Equal(roots, b.RootsPEM()) {
			t.Errorf("the root is not trusted\n%s", e.config)
		}
		if tt.usages == nil {
			if len(e.files) != 1 || p["ssl.keystore.location"] != nil {
				t.Errorf("%d files for who has no certificate\n%s", len(e.files), e.config)
			}
			continue
		}
		store := e.at(t, p["ssl.keystore.location"])
		if p["ssl.keystore.type"] != "PEM" {
			t.Errorf("the keystore is of type %v", p["ssl.keystore.type"])
		}
		var keys []*pem.Block
		for block, rest := pem.Decode(store); block != nil; block, rest = pem.Decode(rest) {
			if strings.HasSuffix(block.Type, "PRIVATE KEY") {
				keys = append(keys, block)
			}
		}
		if len(keys) != 1 || keys[0].Type != "PRIVATE KEY" {
			t.Errorf("not the one key that is expected\n%s", e.config)
			continue
		}
		switch key, err := x509.ParsePKCS8PrivateKey(keys[0].Bytes); key.(type) {
		case *rsa.PrivateKey, *ecdsa.PrivateKey:
		default:
			t.Errorf("a key of %T: %v", key, err)
		}
		for _, usage := range tt.usages {
			holds(t, store, store, roots, usage)
		}
		want := map[Role]map[string]any{
			Server: {"ssl.client.auth": "required"}, Peer: {"ssl.client.auth": "required"}, Client: {"security.protocol": "SSL"},
		}[RoleOf(b.Leaf())]
		for _, key := range []string{"ssl.client.auth", "security.protocol"} {
			if p[key] != want[key] {
				t.Errorf("%s: %s is %v, want %v", b.Leaf().Subject, key, p[key], want[key])
			}
		}
		if user := "User:CN=alice@example.com\n"; b.Leaf().Subject.CommonName == "alice@example.com" && !strings.Contains(e.config, user) {
			t.Errorf("no line with %s\n%s", user, e.config)
		}
	}
}

// TestKafkaJKSByRule opens the stores of the older type, whose key has the password
// of the whole.
func TestKafkaJKSByRule(t *testing.T) {
	t.Parallel()
	b, c := aClient(t), must(FindConsumer("kafka"))
	password := NewPassword()
	made, err := JKS{Password: password}.Export(b)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := Truststore{Type: StoreJKS, Name: "truststore"}.Export(b)
	if err != nil {
		t.Fatal(err)
	}
	p := properties(t, strings.ReplaceAll(c.Config(&Placement{Fit: Fit{Format: "jks", Name: "alice", Bundle: b}, Files: []string{oddFolder + "alice.jks"}}), "PASSWORD", password))
	want := map[string]any{
		"security.protocol": "SSL",
		"ssl.keystore.type": "JKS", "ssl.keystore.location": oddFolder + "alice.jks", "ssl.keystore.password": password, "ssl.key.password": password,
		"ssl.truststore.type": "JKS", "ssl.truststore.location": trust[0].Name, "ssl.truststore.password": p["ssl.truststore.password"],
	}
	if diff := gocmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	open := func(data []byte, password any) jks.KeyStore {
		word, _ := password.(string)
		store := jks.New()
		if err := store.Load(bytes.NewReader(data), []byte(word)); err != nil || len(store.Aliases()) != 1 {
			t.Fatalf("%v: %v", store.Aliases(), err)
		}
		return store
	}
	if store := open(made[0].Data, p["ssl.keystore.password"]); !store.IsPrivateKeyEntry(store.Aliases()[0]) {
		t.Error("no key in the keystore")
	}
	if store := open(trust[0].Data, p["ssl.truststore.password"]); !store.IsTrustedCertificateEntry(store.Aliases()[0]) {
		t.Error("nobody is trusted")
	}
}

// consulOptions are those of an agent: gh/hashicorp/consul agent/config/config.go.
var consulOptions = fields{
	"agent": {"tls": "tls"},
	"tls":   {"defaults": "protocol", "internal_rpc": "protocol", "https": "protocol", "grpc": "protocol"},
	"protocol": {
		"ca_file": "string", "ca_path": "string", "cert_file": "string", "key_file": "string", "tls_min_version": "string",
		"tls_cipher_suites": "string", "verify_incoming": "bool", "verify_outgoing": "bool", "verify_server_hostname": "bool", "use_auto_cert": "bool",
	},
}

// hcl reads blocks without labels, strings in quotes, true and false.
func hcl(t *testing.T, text string) map[string]any {
	t.Helper()
	blocks := []map[string]any{{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		in := blocks[len(blocks)-1]
		name, value, isField := strings.Cut(line, " = ")
		block, isBlock := strings.CutSuffix(line, " {")
		switch {
		case line == "" || line[0] == '#':
		case line == "}" && len(blocks) > 1:
			blocks = blocks[:len(blocks)-1]
		case isField && (value == "true" || value == "false"):
			in[name] = value == "true"
		case isField:
			plain, err := strconv.Unquote(value)
			if err != nil {
				t.Errorf("no string: %s", value)
			}
			in[name] = plain
		case isBlock:
			inner := map[string]any{}
			in[block] = inner
			blocks = append(blocks, inner)
		default:
			t.Errorf("neither a block nor a field: %s", line)
		}
	}
	if len(blocks) != 1 {
		t.Errorf("a block that does not end\n%s", text)
	}
	return blocks[0]
}

// TestConsulByRule holds names and usages to what gh/hashicorp/consul
// command/tls/cert/create makes.
func TestConsulByRule(t *testing.T) {
	t.Parallel()
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, tt := range []struct {
		bundle consumerBundle
		files  string
		server string // the name that agents look for; empty: it is not a server
		usages []x509.ExtKeyUsage
	}{
		{aConsul, "eu-server-example.net-0.pem eu-server-example.net-0-key.pem example.net-agent-ca.pem", "server.eu.example.net", both},
		{
			issued(profiles.Peer(), "n1.server.dc1.consul", sans("n1.server.dc1.consul", "server.dc1.consul", "localhost", "127.0.0.1")),
			"dc1-server-consul-0.pem dc1-server-consul-0-key.pem consul-agent-ca.pem", "server.dc1.consul", both,
		},
		{aConsulClient, "eu-client-example.net-0.pem eu-client-example.net-0-key.pem example.net-agent-ca.pem", "", both},
		{aClient, "dc1-client-consul-0.pem dc1-client-consul-0-key.pem consul-agent-ca.pem", "", both[1:]},
	} {
		b := tt.bundle(t)
		e := exportFiles(t, "consul", oddFolder, b)
		doc := hcl(t, e.config)
		if problem := consulOptions.misfit("agent", doc, ""); problem != "" {
			t.Errorf("%s\n%s", problem, e.config)
		}
		defaults := part(doc, "tls", "defaults")
		var files []string
		for _, field := range []string{"cert_file", "key_file", "ca_file"} {
			where, _ := part(defaults, field).(string)
			files = append(files, strings.TrimPrefix(where, oddFolder))
		}
		if diff := gocmp.Diff(strings.Fields(tt.files), files); diff != "" || len(e.files) != 3 {
			t.Errorf("%d files (-want +got):\n%s", len(e.files), diff)
		}
		for _, usage := range tt.usages {
			holds(t, e.files[files[0]].Data, e.files[files[1]].Data, e.files[files[2]].Data, usage)
		}
		if part(defaults, "verify_incoming") != true || part(defaults, "verify_outgoing") != true || part(doc, "tls", "internal_rpc", "verify_server_hostname") != true {
			t.Errorf("not all is verified\n%s", e.config)
		}
		if tt.server == "" {
			continue
		}
		for _, name := range []string{tt.server, "localhost", "127.0.0.1"} {
			if err := b.Leaf().VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
	}
	// What `consul tls cert create -server` always adds.
	c := must(FindConsumer("consul"))
	all := []string{"server.dc1.consul", "localhost", "127.0.0.1"}
	for i := range all {
		names := slices.Delete(slices.Clone(all), i, i+1)
		b := issued(profiles.Peer(), "n1.example.com", sans(names...))(t)
		if _, err := c.Fit(&Fit{Format: "pem", Name: "n1", Bundle: b}); err == nil {
			t.Errorf("a server with %v, without %s", names, all[i])
		}
	}
	server := issued(profiles.Server(), "n1.example.com", sans(all...))(t)
	if _, err := c.Fit(&Fit{Format: "pem", Name: "n1", Bundle: server}); err == nil {
		t.Error("a server that is no client of the others")
	}
}

// TestNATSByRule: strings in double quotes, in which a backslash begins an escape
// (gh/nats-io/nats-server conf/lex.go).
func TestNATSByRule(t *testing.T) {
	t.Parallel()
	e := exportFiles(t, "nats", oddFolder, aServer(t))
	seen := 0
	for line := range strings.Lines(e.config) {
		if _, value, found := strings.Cut(line, `_file: `); found {
			path, err := strconv.Unquote(strings.TrimSpace(value))
			if err != nil {
				t.Errorf("%s: %v", value, err)
			}
			e.at(t, path)
			seen++
		}
	}
	if seen != 3 {
		t.Errorf("%d files\n%s", seen, e.config)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
