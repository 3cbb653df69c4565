package export

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// mongodbOptions are those of mongod's file that are about certificates, from the
// MongoDB manual, "Configuration File Options".
var mongodbOptions = fields{
	"file": {"net": "net", "security": "security"},
	"net":  {"tls": "tls"},
	"tls": {
		"mode": "disabled|allowTLS|preferTLS|requireTLS", "certificateKeyFile": "string", "certificateKeyFilePassword": "string",
		"clusterFile": "string", "CAFile": "string", "clusterCAFile": "string", "CRLFile": "string",
		"allowConnectionsWithoutCertificates": "bool", "allowInvalidCertificates": "bool", "allowInvalidHostnames": "bool",
	},
	"security": {"authorization": "enabled|disabled", "clusterAuthMode": "keyFile|sendKeyFile|sendX509|x509"},
}

// TestMongoDBByRule holds files and options to the MongoDB manual: "x.509", and
// "Configuration File Options".
func TestMongoDBByRule(t *testing.T) {
	t.Parallel()
	for _, bundle := range []consumerBundle{aServer, aMember} {
		b := bundle(t)
		e := exportFiles(t, "mongodb", oddFolder, b)
		doc := yamlLines(t, e.config)
		if problem := mongodbOptions.misfit("file", doc, ""); problem != "" {
			t.Errorf("%s\n%s", problem, e.config)
		}
		tls := part(doc, "net", "tls")
		if part(tls, "mode") != "requireTLS" {
			t.Errorf("it takes connections without TLS\n%s", e.config)
		}
		both := e.at(t, part(tls, "certificateKeyFile"))
		holds(t, both, both, e.at(t, part(tls, "CAFile")), x509.ExtKeyUsageServerAuth)
		e.at(t, part(tls, "CRLFile"))
		member := part(doc, "security", "clusterAuthMode") == "x509"
		if member != (RoleOf(b.Leaf()) == Peer) {
			t.Errorf("%s: a member of a cluster by its certificate: %t\n%s", b.Leaf().Subject, member, e.config)
		}
		if member {
			holds(t, both, both, e.at(t, part(tls, "CAFile")), x509.ExtKeyUsageClientAuth)
		}
	}
	for want, bundle := range map[string]consumerBundle{
		`"CN=alice@example.com"`:        aClient,
		`"CN=alice@example.com,O=Acme"`: issued(profiles.Client(), "alice@example.com", organized("Acme")),
	} {
		e := exportFiles(t, "mongodb", "/etc/ours/", bundle(t))
		words := strings.Fields(e.config)
		word := func(option string) string { return strings.Trim(words[slices.Index(words, option)+1], "'") }
		both := e.at(t, word("--tlsCertificateKeyFile"))
		holds(t, both, both, e.at(t, word("--tlsCAFile")), x509.ExtKeyUsageClientAuth)
		if certificates(t, both)[0].KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			t.Error("a client without the key usage digitalSignature")
		}
		if word("--authenticationDatabase") != "$external" || word("--authenticationMechanism") != "MONGODB-X509" || !strings.Contains(e.config, "{createUser: "+want+",") {
			t.Errorf("want user %s\n%s", want, e.config)
		}
	}
}

// TestMongoDBSubjectsByRule has clients beside a member: who has the same O, OU and
// DC is a member to MongoDB, and may do all.
func TestMongoDBSubjectsByRule(t *testing.T) {
	t.Parallel()
	c, err := FindConsumer("mongodb")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []pki.Subject{
		{CommonName: "alice"}, {CommonName: "alice", Countries: []string{"DE"}},
		{Organizations: []string{"Acme"}}, {CommonName: "alice", Organizations: []string{"Acme"}, Localities: []string{"Ulm"}},
		{CommonName: "alice", Organizations: []string{"acme"}}, {OrganizationalUnits: []string{"Acme"}},
		{Organizations: []string{"Acme"}, OrganizationalUnits: []string{"databases"}}, {Organizations: []string{"Acme", "Acme"}},
	} {
		client := issued(profiles.Client(), "alice@example.com", func(r *pki.Request) { r.Subject = subject })(t)
		name := client.Leaf().Subject
		member := slices.Equal(name.Organization, []string{"Acme"}) && len(name.OrganizationalUnit) == 0 // as aMember
		_, err := c.Fit(&Fit{Format: "pem", Name: "alice", Bundle: client, Others: []*x509.Certificate{aMember(t).Leaf()}})
		if (err != nil) != member {
			t.Errorf("%s is a member: %t, and is refused: %v", name, member, err)
		}
	}
	for _, m := range []consumerBundle{aPeer, aMember} {
		b := m(t)
		name := b.Leaf().Subject
		_, err := c.Fit(&Fit{Format: "pem", Name: "db", Bundle: b})
		if known := len(name.Organization)+len(name.OrganizationalUnit) > 0; known != (err == nil) {
			t.Errorf("%s may be a member: %t, and %v", name, known, err)
		}
	}
}
