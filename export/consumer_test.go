package export

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// TestConsumers holds what each consumer gets, for certificates of each role that
// it takes, and the lines of its configuration, to a golden file. A consumer
// without a row fails.
func TestConsumers(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { checkPage(t) }) // after the files have been written anew
	type export struct {
		format string
		bundle consumerBundle
		crl    bool
	}
	rows := map[string][]export{
		"nginx":    {{"pem", aServer, false}, {"pem", aPeer, true}, {"pem", aClient, true}, {"pem", aRoot, true}},
		"haproxy":  {{"pem", aServer, true}, {"pem", aClient, true}, {"pem", aRoot, false}},
		"envoy":    {{"pem", aServer, true}, {"pem", aClient, false}, {"pem", aRoot, false}},
		"consul":   {{"pem", aConsul, false}, {"pem", aConsulClient, false}, {"pem", aClient, false}},
		"etcd":     {{"pem", aPeer, false}, {"pem", issued(profiles.Peer(), "10.0.0.7"), false}, {"pem", aClient, false}, {"pem", nameless, false}},
		"postgres": {{"pem", aServer, true}, {"pem", aClient, true}, {"pem", issued(profiles.Client(), "spiffe://example.org/web", named("it's a job")), false}, {"pem", aRoot, true}},
		"mysql":    {{"pem", aServer, true}, {"pem", aClient, false}, {"pem", anUmlaut, false}, {"pem", aRoot, false}},
		"mongodb":  {{"pem", aServer, true}, {"pem", aMember, false}, {"pem", aClient, false}, {"pem", aRoot, false}},
		"redis":    {{"pem", aServer, false}, {"pem", aPeer, false}, {"pem", aClient, false}, {"pem", aRoot, false}},
		"kafka": {
			{"pem", aServer, false}, {"pem", aPeer, false}, {"pem", aClient, false}, {"pem", aRoot, false},
			{"jks", aClient, false}, {"jks", anEd25519, false},
		},
		"rabbitmq": {{"pem", aServer, false}, {"pem", aClient, false}},
		"nats":     {{"pem", aServer, false}, {"pem", aPeer, false}, {"pem", aClient, false}},
		"curl":     {{"pem", aClient, true}, {"pem", aPeer, false}, {"pem", aRoot, false}},
		"java":     {{"p12", aClient, false}, {"truststore", aRoot, false}, {"jks", aServer, false}},

		"ingress-nginx": {{"secret", aServer, true}, {"secret", aClient, false}, {"secret", aRoot, false}},
		"gateway-api":   {{"secret", aServer, false}, {"secret", aClient, false}, {"configmap", aRoot, false}, {"configmap", withOtherRoot(aServer), false}},
		"agc":           {{"secret", aRoot, false}, {"secret", aServer, false}, {"secret", aClient, false}},
		"traefik":       {{"secret", aServer, false}, {"secret", aClient, false}, {"secret", aRoot, false}},

		"apisix": {
			{"apisix", aServer, false}, {"apisix", aClient, false},
			{"pem", aClient, false}, {"pem", aServer, false}, {"pem", aRoot, false},
		},
		"istio-gateway":        {{"secret", aServer, true}, {"secret", aPeer, false}},
		"istio-gateway-cacert": {{"secret", aRoot, true}, {"secret", aServer, false}},
		"istio-cacerts":        {{"secret", anIssuing, true}, {"secret", aRoot, false}, {"secret", aMesh, false}},
		"linkerd":              {{"secret", anIssuing, false}, {"configmap", aRoot, false}, {"configmap", aServer, false}},

		"macos":   {{"p12", aClient, false}, {"p12", aPeer, false}, {"mobileconfig", aRoot, false}},
		"ios":     {{"p12", aClient, false}, {"mobileconfig", aClient, false}},
		"windows": {{"p12", aClient, false}},
		"android": {{"p12", aClient, false}, {"pem", aRoot, false}},
		"firefox": {{"p12", aClient, false}},
		"chrome":  {{"p12", aClient, false}},
	}
	for _, c := range Consumers() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			formats := map[string]bool{}
			for _, e := range rows[c.Name] {
				formats[e.format] = true
				text.WriteString(describeExport(t, c, e.format, e.bundle(t), e.crl))
			}
			for _, f := range c.Formats() {
				if !formats[f] {
					t.Errorf("no row has %s for %s", f, c.Name)
				}
			}
			golden(t, filepath.Join("consumers", c.Name+".txt"), []byte(text.String()))
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "golden", "consumers"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(Consumers()) || len(rows) != len(Consumers()) {
		t.Errorf("%d consumers, %d rows, %d golden files", len(Consumers()), len(rows), len(files))
	}
}

// describeExport is what a consumer gets, without the bytes.
func describeExport(t *testing.T, c *Consumer, format string, b *pki.Bundle, crl bool) string {
	t.Helper()
	name := leafName(b)
	fit := Fit{Format: format, Name: name, Bundle: b}
	shape, err := c.Fit(&fit)
	if err != nil {
		t.Fatal(err)
	}
	if crl {
		shape.CRLs = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("a CRL")})
	}
	if shape.Object == "" {
		shape.Object = SecretName(name)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# export %s, a certificate for: %s\n", format, fit.Role())
	p := Placement{Fit: fit, CRL: crl}
	entry, err := Find(format)
	if err != nil {
		t.Fatal(err)
	}
	if shaped, ok := entry.Format.(Shaped); ok {
		for _, i := range shape.Layout {
			items, err := Layout{i}.fill(b, shape.CRLs)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range items {
				fmt.Fprintf(&text, "%s: %s\n", f.Name, strings.Join(holdings(t, f.Data), ", "))
			}
		}
		files, err := shaped.WithShape(shape).Export(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names(files) {
			fmt.Fprintf(&text, "-> %s\n", n)
		}
		for _, f := range files {
			p.Files = append(p.Files, "/etc/x/"+f.Name)
		}
		if format != "pem" {
			p.Files, p.Object, p.Namespace = nil, shape.Object, "prod"
		}
	} else {
		p.Files = []string{"/etc/x/" + name + "." + format}
	}
	if config := c.Config(&p); config != "" {
		text.WriteString("\n" + config)
	}
	return text.String() + "\n"
}

// holdings says what is in a file of PEM.
func holdings(t *testing.T, data []byte) (all []string) {
	t.Helper()
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		what := block.Type
		if what == "CERTIFICATE" {
			certs, err := pki.ParseCertificates(pem.EncodeToMemory(block))
			if err != nil {
				t.Fatal(err)
			}
			what = certs[0].Subject.CommonName
		}
		all = append(all, what)
	}
	return all
}

// TestConsumersRefuse has what consumers cannot use, and the way out that is
// named. A rule that no row breaks fails.
func TestConsumersRefuse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		consumer, format string
		bundle           consumerBundle
		change           func(testing.TB, *Fit)
		problem, remedy  string
	}{
		{
			"nginx", "secret", aServer, nil,
			"takes pem, not secret", "mtlsctl export pem api.example.com --for nginx",
		},
		{
			"consul", "pem", issued(profiles.Server(), "server.dc1.consul", sans("server.dc1.consul", "localhost", "127.0.0.1")), nil,
			"wants a certificate for servers and clients at once: servers ask each other for one", "'mtlsctl issue peer NAME' makes one",
		},
		{
			"consul", "pem", aPeer, nil,
			"wants a server's names to be server.DATACENTER.DOMAIN, localhost and 127.0.0.1; missing: server.dc1.consul, localhost, 127.0.0.1",
			"issue it again, with --force and --dns server.dc1.consul --dns localhost --ip 127.0.0.1",
		},
		{
			"consul", "pem", issued(profiles.Peer(), "consul1", sans("server.eu.example.net", "127.0.0.1")), nil,
			"wants a server's names to be server.DATACENTER.DOMAIN, localhost and 127.0.0.1; missing: localhost",
			"issue it again, with --force and --dns localhost",
		},
		{
			"etcd", "pem", aServer, nil,
			"wants a certificate for servers and clients at once: a member is a client of the others, and of itself",
			"'mtlsctl issue peer NAME' makes one",
		},
		{
			"etcd", "pem", issued(profiles.SPIFFE(), "spiffe://example.org/etcd"), nil,
			"looks for the address of a member in its certificate, and there is neither a DNS name nor an IP address",
			"issue it again, with --force and --dns NAME or --ip ADDRESS",
		},
		{
			"etcd", "pem", aRoot, nil,
			"wants a server's certificate or a client's certificate here, and Test root CA is an authority", "'mtlsctl issue peer NAME' makes one",
		},
		{
			"gateway-api", "secret", aRoot, nil,
			"wants a server's certificate or a client's certificate here, and Test root CA is an authority",
			"mtlsctl export configmap Test root CA --for gateway-api",
		},
		{
			"java", "p12", aRoot, nil,
			"wants a server's certificate or a client's certificate here, and Test root CA is an authority",
			"mtlsctl export truststore Test root CA --for java",
		},
		{
			"postgres", "pem", nameless, nil,
			"takes the common name for the user, and there is none", "issue it again, with --force and --cn USER",
		},
		{
			"mysql", "pem", issued(profiles.Server(), "db.example.com", named("Test issuing CA"), organized("Acme")), nil,
			`fails if an authority has the certificate's common name, "Test issuing CA"`, "issue it again, with --force and another --cn",
		},
		{
			"mysql", "pem", issued(profiles.Client(), "a@example.com", named("Test root CA"), organized("Acme")), nil,
			`fails if an authority has the certificate's common name, "Test root CA"`, "issue it again, with --force and another --cn",
		},
		{
			"mysql", "pem", issued(profiles.Client(), "api.example.com"), beside(aPeer, aServer),
			`wants other common names of clients than of servers, and a server has "api.example.com"`, "issue it again, with --force and another --cn",
		},
		{
			"mongodb", "pem", aClient, func(_ testing.TB, f *Fit) { f.Name = "prod/ca" },
			"has something else in ca.pem, where this certificate would be", "issue it under another name",
		},
		{
			"haproxy", "pem", aServer, func(_ testing.TB, f *Fit) { f.Name = "crl" },
			"has something else in crl.pem, where this certificate would be", "issue it under another name",
		},
		{
			"mongodb", "pem", aPeer, nil,
			"knows members of a cluster by O, OU or DC, and there is none of these",
			"issue it again, with --force and --org, the same for all members",
		},
		{
			"mongodb", "pem", nameless, nil,
			"takes the subject for the user, and it is empty", "issue it again, with --force and --cn USER",
		},
		{
			"mongodb", "pem", issued(profiles.Client(), "alice@example.com", organized("Acme")), beside(aServer, aMember),
			"takes a client with O=Acme for a member of the cluster: a server has the same",
			"issue it again, with --force and another --org or --ou",
		},
		{
			"kafka", "pem", aServer, func(_ testing.TB, f *Fit) { f.Encoding = pki.SEC1 },
			"reads keys in PKCS#8 alone, and this one is written as sec1", "use --encoding pkcs8",
		},
		{
			"kafka", "pem", anEd25519, nil,
			"reads no Ed25519 keys in this form", "issue it again, with --force and --key ec-p256",
		},
		{
			"curl", "pem", aServer, nil,
			"wants a client's certificate or an authority here, and api.example.com is a server's certificate",
			"'mtlsctl issue client NAME' makes one",
		},

		{
			"istio-gateway", "secret", aClient, nil,
			"wants a server's certificate here, and alice@example.com is a client's certificate", "'mtlsctl issue server NAME' makes one",
		},
		{
			"istio-gateway", "secret", aRoot, nil,
			"wants a server's certificate here, and Test root CA is an authority",
			"'mtlsctl export secret Test root CA --for istio-gateway-cacert' writes what verifies clients",
		},
		{
			"istio-cacerts", "secret", aServer, nil,
			"wants an authority here, and api.example.com is a server's certificate", "name an authority; 'mtlsctl tree' shows them",
		},
		{
			"istio-cacerts", "secret", authority(rootOf(profiles.Ed25519), profiles.Ed25519, pkitest.RootKey), nil,
			"does not start with an Ed25519 key", "'mtlsctl init-ca NAME --parent AUTHORITY --key ec-p256' makes an authority that it starts with",
		},
		{
			"istio-cacerts", "secret", forServersAlone(anIssuing), nil,
			"signs for servers and clients at once, and the extended key usages of Test issuing CA do not allow it",
			"'mtlsctl init-ca NAME --parent AUTHORITY' makes an authority without such limits",
		},
		{
			"istio-cacerts", "secret", authority(constrained("mesh.internal"), profiles.ECP256, pkitest.IssuingKey), nil,
			"signs for istiod.istio-system.svc, which the name constraints of Mesh CA do not allow",
			"'mtlsctl init-ca NAME --parent AUTHORITY', with --permit istio-system.svc if you limit its names, under a root that allows it",
		},
		{
			"linkerd", "secret", authority(rootOf(profiles.RSA2048), profiles.RSA2048, pkitest.RootKey), nil,
			"takes authorities with ECDSA P-256 keys alone, and that of Test root CA is rsa-2048",
			"'mtlsctl init-ca NAME --key ec-p256' makes a root, and with --parent an intermediate, that it takes",
		},
		{
			"linkerd", "configmap", withOtherRoot(aServer), nil,
			"takes authorities with ECDSA P-256 keys alone, and that of Test root CA is rsa-2048",
			"'mtlsctl init-ca NAME --key ec-p256' makes a root, and with --parent an intermediate, that it takes",
		},
		{
			"macos", "p12", aServer, nil,
			"wants a client's certificate here, and api.example.com is a server's certificate", "'mtlsctl issue client NAME' makes one",
		},
		{
			"ios", "mobileconfig", anEd25519, nil,
			"imports no Ed25519 key", "'mtlsctl issue client NAME --key ec-p256' makes a certificate that it imports",
		},
		{
			"macos", "p12", anEd25519, nil,
			"imports no Ed25519 key", "'mtlsctl issue client NAME --key ec-p256' makes a certificate that it imports",
		},
		{
			"windows", "p12", anEd25519, nil,
			"imports no Ed25519 key", "'mtlsctl issue client NAME --key ec-p256' makes a certificate that it imports",
		},
		{
			"android", "p12", anEd25519, nil,
			"imports no Ed25519 key", "'mtlsctl issue client NAME --key ec-p256' makes a certificate that it imports",
		},
		{
			"firefox", "p12", anEd25519, nil,
			"imports no Ed25519 key", "'mtlsctl issue client NAME --key ec-p256' makes a certificate that it imports",
		},
		{
			"chrome", "p12", anEd25519, nil,
			"imports no Ed25519 key", "'mtlsctl issue client NAME --key ec-p256' makes a certificate that it imports",
		},
		{
			"chrome", "p12", aRoot, nil,
			"wants a client's certificate here, and Test root CA is an authority",
			"'mtlsctl trust install Test root CA --store system,chromium' has the Chrome of this machine trust it",
		},
		{
			"agc", "configmap", aRoot, nil,
			"takes secret, not configmap", "mtlsctl export secret Test root CA --for agc",
		},
	}
	broken := map[string]bool{}
	for _, tt := range tests {
		c, err := FindConsumer(tt.consumer)
		if err != nil {
			t.Fatal(err)
		}
		b := tt.bundle(t)
		f := Fit{Format: tt.format, Name: leafName(b), Bundle: b}
		if tt.change != nil {
			tt.change(t, &f)
		}
		for i, r := range c.rules {
			if among(r.formats, f.Format) && among(r.roles, string(f.Role())) {
				if problem, _ := r.breach(&f); problem != "" {
					broken[fmt.Sprint(c.Name, i)] = true
				}
			}
		}
		_, err = c.Fit(&f)
		var got *FitError
		if !errors.As(err, &got) {
			t.Errorf("%s takes %s of %s: %v", tt.consumer, tt.format, f.Name, err)
			continue
		}
		if diff := cmp.Diff(&FitError{c.Title, tt.problem, tt.remedy}, got); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", tt.consumer, f.Name, diff)
		}
	}
	for _, c := range Consumers() {
		for i := range c.rules {
			if !broken[fmt.Sprint(c.Name, i)] {
				t.Errorf("no row breaks rule %d of %s", i, c.Name)
			}
		}
	}
}

func TestFindConsumer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range Consumers() {
		got, err := FindConsumer(strings.ToUpper(c.Name))
		if err != nil || got != c || seen[c.Name] || c.Title == "" {
			t.Errorf("%s: %v, %v", c.Name, got, err)
		}
		seen[c.Name] = true
		for _, f := range c.Formats() {
			if _, err := Find(f); err != nil || !slices.Contains(ConsumersOf(f), c.Name) {
				t.Errorf("%s takes %s: %v", c.Name, f, err)
			}
		}
	}
	_, err := FindConsumer("apache")
	wantOption(t, err, "for", "", "there are nginx, ")
}

func TestRoleOf(t *testing.T) {
	t.Parallel()
	for want, b := range map[Role]consumerBundle{
		Server: aServer, Client: aClient, Peer: aPeer, Authority: authority(pkitest.Root, profiles.ECP256, pkitest.RootKey),
	} {
		if got := RoleOf(b(t).Leaf()); got != want {
			t.Errorf("%s: got %s", want, got)
		}
	}
}
