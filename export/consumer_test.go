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

// A consumerBundle makes what is exported in a test of consumers.
type consumerBundle func(t testing.TB) *pki.Bundle

// issued is a bundle of one of the built-in profiles, by an intermediate.
func issued(p *profiles.Profile, name string, change ...func(*pki.Request)) consumerBundle {
	return func(t testing.TB) *pki.Bundle {
		t.Helper()
		sans := pkitest.SANs(t, name)
		r := pki.Request{Key: profiles.ECP256, Subject: pki.Subject{CommonName: name}, SANs: sans}
		for _, c := range change {
			c(&r)
		}
		return pkitest.Issue(t, pkitest.Issuing(t), p, r)
	}
}

// authority is the bundle of a CA, with its key.
func authority(make func(testing.TB) *pki.Authority, kind profiles.KeyType, owner pkitest.Owner) consumerBundle {
	return func(t testing.TB) *pki.Bundle {
		t.Helper()
		a := make(t)
		return &pki.Bundle{Chain: a.Chain(), Key: pkitest.Key(t, kind, owner), Roots: a.Roots()}
	}
}

func keyed(k profiles.KeyType) func(*pki.Request) { return func(r *pki.Request) { r.Key = k } }

var (
	aServer = issued(profiles.Server(), "api.example.com")
	aClient = issued(profiles.Client(), "alice@example.com")
	aPeer   = issued(profiles.Peer(), "node1.example.com")
)

// TestConsumers holds what each consumer gets, for certificates of each role that
// it takes, and the lines of its configuration, to a golden file. A consumer
// without a row fails.
func TestConsumers(t *testing.T) {
	t.Parallel()
	type export struct {
		format string
		bundle consumerBundle
		crl    bool
	}
	rows := map[string][]export{
		"nginx": {{"pem", aServer, false}, {"pem", aPeer, true}},
		"agc":   {{"secret", aServer, false}},
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
		change           func(*Fit)
		problem, remedy  string
	}{
		{
			"nginx", "secret", aServer, nil,
			"takes pem, not secret", "mtlsctl export pem api.example.com --for nginx",
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
			tt.change(&f)
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
