package pki_test

import (
	"crypto/x509"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestParseConstraint(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"example.com":             "dns:example.com",
		"DNS:Example.com":         "dns:example.com",
		"internal":                "dns:internal",
		"bücher.example":          "dns:xn--bcher-kva.example",
		"10.0.0.0/8":              "ip:10.0.0.0/8",
		"0.0.0.0/0":               "ip:0.0.0.0/0",
		"fd00::/8":                "ip:fd00::/8",
		"ip:fd00::/8":             "ip:fd00::/8",
		"192.0.2.1":               "ip:192.0.2.1/32",
		"::ffff:192.0.2.1":        "ip:192.0.2.1/32",
		"2001:db8::1":             "ip:2001:db8::1/128",
		"@example.com":            "email:example.com",
		"email:example.com":       "email:example.com",
		"email:@example.com":      "email:example.com",
		"email:.Example.com":      "email:.example.com",
		"alice@example.com":       "email:alice@example.com",
		"email:Alice@Example.com": "email:Alice@example.com",
		"uri:example.com":         "uri:example.com",
		"uri:.example.com":        "uri:.example.com",
		"spiffe://example.org":    "uri:example.org",
		"spiffe:example.org":      "uri:example.org",
	} {
		got, err := pki.ParseConstraint(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseConstraint(%q) = %s, %v; want %s", in, got, err, want)
			continue
		}
		if again, err := pki.ParseConstraint(got.String()); err != nil || again != got {
			t.Errorf("%s made again is %s, %v", got, again, err)
		}
	}
}

func TestParseConstraintRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        `DNS "": it is empty`,
		".example.com":            `DNS ".example.com": without the leading dot: example.com means that name and all below it`,
		"*.example.com":           `DNS "*.example.com": no wildcard can stand here`,
		"example.com.":            `DNS "example.com.": it ends with a dot; certificates name hosts without it`,
		"dns:10.0.0.1":            `DNS "dns:10.0.0.1": it ends in a number, as only IP addresses do`,
		"10.0.0.0/33":             `IP "10.0.0.0/33": that is no range of IP addresses, as in 10.0.0.0/8`,
		"10.0.0.7/8":              `IP "10.0.0.7/8": the range begins at 10.0.0.0; write 10.0.0.0/8`,
		"fe80::1%eth0":            `IP "fe80::1%eth0": that is no range of IP addresses, as in 10.0.0.0/8`,
		"::ffff:10.0.0.0/104":     `IP "::ffff:10.0.0.0/104": that is a range of IPv4 addresses written as IPv6; write it as IPv4, as in 10.0.0.0/8`,
		"ip:example.com":          `IP "ip:example.com": that is no range of IP addresses, as in 10.0.0.0/8`,
		"10.0.0.0/255.0.0.0":      `IP "10.0.0.0/255.0.0.0": that is no range of IP addresses, as in 10.0.0.0/8`,
		"@":                       `email "@": it is empty`,
		"a b@example.com":         `email "a b@example.com": that is no email address; give it bare, as in alice@example.com`,
		"email:a@.example.com":    `email "email:a@.example.com": that is no email address; give it bare, as in alice@example.com`,
		"uri:https://example.com": `URI "uri:https://example.com": the label "https://example" contains ':'`,
		"spiffe://example.org/x":  `URI "spiffe://example.org/x": the label "org/x" contains '/'`,
		"uri:..example.com":       `URI "uri:..example.com": it has an empty label`,
		"spiffe://prod":           `URI "spiffe://prod": "prod" is no full domain name, which RFC 5280 section 4.2.1.10 wants for URIs`,
		"uri:.internal":           `URI "uri:.internal": ".internal" is no full domain name, which RFC 5280 section 4.2.1.10 wants for URIs`,
	} {
		got, err := pki.ParseConstraint(in)
		if got != (pki.Constraint{}) || err == nil || err.Error() != want {
			t.Errorf("ParseConstraint(%q) = %s\ngot  %v\nwant %s", in, got, err, want)
		}
		if _, ok := errors.AsType[*pki.SANError](err); !ok {
			t.Errorf("ParseConstraint(%q): %T is no *SANError", in, err)
		}
	}
}

func constraints(t testing.TB, all ...string) (parsed []pki.Constraint) {
	t.Helper()
	for _, s := range all {
		c, err := pki.ParseConstraint(s)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, c)
	}
	return parsed
}

func TestConstraintsOf(t *testing.T) {
	t.Parallel()
	permit := []string{"dns:example.com", "dns:internal", "ip:10.0.0.0/8", "ip:fd00::/8", "email:example.com", "email:.example.org", "email:a@b.example", "uri:example.com", "uri:.example.org"}
	exclude := []string{"dns:bad.example.com", "ip:10.9.0.0/16", "email:x@example.com", "uri:bad.example.org"}
	root := pkitest.NewRoot(t, pki.CARequest{Permit: constraints(t, permit...), Exclude: constraints(t, exclude...)}).Certificate()
	if !root.PermittedDNSDomainsCritical {
		t.Error("the constraints are not critical (RFC 5280 section 4.2.1.10)")
	}
	texts := func(all []pki.Constraint) (s []string) {
		for _, c := range all {
			s = append(s, c.String())
		}
		return s
	}
	p, e := pki.ConstraintsOf(root)
	if diff := cmp.Diff([][]string{permit, exclude}, [][]string{texts(p), texts(e)}); diff != "" {
		t.Errorf("constraints (-want +got):\n%s", diff)
	}
	if p, e := pki.ConstraintsOf(pkitest.Root(t).Certificate()); len(p)+len(e) > 0 {
		t.Errorf("of a root without any: %v, %v", p, e)
	}
}

func TestConstraintsHold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		permit, exclude []string
		cn              string
		sans            []string
		detail          string // "" if it may be issued
	}{
		"name and below":           {permit: []string{"example.com"}, sans: []string{"example.com", "a.b.example.com"}},
		"wildcard below":           {permit: []string{"example.com"}, sans: []string{"*.example.com"}},
		"other name":               {permit: []string{"example.com"}, sans: []string{"example.com", "example.org"}, detail: `DNS name "example.org" is not permitted by any constraint`},
		"name that only ends so":   {permit: []string{"example.com"}, sans: []string{"notexample.com"}, detail: `DNS name "notexample.com" is not permitted by any constraint`},
		"wildcard above":           {permit: []string{"a.example.com"}, sans: []string{"*.example.com"}, detail: `DNS name "*.example.com" is not permitted by any constraint`},
		"excluded":                 {exclude: []string{"bad.example.com"}, sans: []string{"x.bad.example.com"}, detail: `DNS name "x.bad.example.com" is excluded by constraint "bad.example.com"`},
		"excluded beats permitted": {permit: []string{"example.com"}, exclude: []string{"bad.example.com"}, sans: []string{"bad.example.com"}, detail: `DNS name "bad.example.com" is excluded by constraint "bad.example.com"`},
		"wildcard over excluded":   {exclude: []string{"bad.example.com"}, sans: []string{"*.example.com"}, detail: `DNS name "*.example.com" is excluded by constraint "bad.example.com"`},
		"other kinds are free":     {permit: []string{"example.com"}, sans: []string{"10.0.0.1", "a@example.org", "spiffe://example.org/x"}},
		"address in range":         {permit: []string{"10.0.0.0/8", "fd00::/8"}, sans: []string{"10.1.2.3", "fd00::1"}},
		"address out of range":     {permit: []string{"10.0.0.0/8"}, sans: []string{"11.0.0.1"}, detail: `IP address "11.0.0.1" is not permitted by any constraint`},
		"IPv6 beside IPv4":         {permit: []string{"10.0.0.0/8"}, sans: []string{"::1"}, detail: `IP address "::1" is not permitted by any constraint`},
		"one address":              {permit: []string{"192.0.2.1"}, sans: []string{"192.0.2.2"}, detail: `IP address "192.0.2.2" is not permitted by any constraint`},
		"no address at all":        {exclude: []string{"0.0.0.0/0", "::/0"}, sans: []string{"::1"}, detail: `IP address "::1" is excluded by constraint "::/0"`},
		"mailbox":                  {permit: []string{"alice@example.com"}, sans: []string{"alice@example.com"}},
		"local part has a case":    {permit: []string{"alice@example.com"}, sans: []string{"Alice@example.com"}, detail: `email address "Alice@example.com" is not permitted by any constraint`},
		"host of mailboxes":        {permit: []string{"@example.com"}, sans: []string{"bob@EXAMPLE.com"}},
		// crypto/x509 lets this pass; RFC 5280 and OpenSSL do not.
		"host below that of mailboxes": {permit: []string{"@example.com"}, sans: []string{"bob@mail.example.com"}, detail: `email address "bob@mail.example.com" is not permitted by any constraint`},
		"hosts below":                  {permit: []string{"email:.example.com"}, sans: []string{"bob@mail.example.com"}},
		"host itself is not below":     {permit: []string{"email:.example.com"}, sans: []string{"bob@example.com"}, detail: `email address "bob@example.com" is not permitted by any constraint`},
		"mailbox excluded":             {exclude: []string{"alice@example.com"}, sans: []string{"alice@example.com"}, detail: `email address "alice@example.com" is excluded by constraint "alice@example.com"`},
		"trust domain":                 {permit: []string{"spiffe://example.org"}, sans: []string{"spiffe://example.org/x"}},
		"other trust domain":           {permit: []string{"spiffe://example.org"}, sans: []string{"spiffe://example.com/x"}, detail: `URI "spiffe://example.com/x" is not permitted by any constraint`},
		"trust domain below":           {permit: []string{"spiffe://example.org"}, sans: []string{"spiffe://sub.example.org/x"}, detail: `URI "spiffe://sub.example.org/x" is not permitted by any constraint`},
		"URI with a port":              {permit: []string{"uri:.example.com"}, sans: []string{"https://a.example.com:8443/x"}},
		"URI without a host":           {permit: []string{"uri:example.com"}, sans: []string{"urn:a:b"}, detail: `URI with empty host ("urn:a:b") cannot be matched against constraints`},
		"URI with an address":          {permit: []string{"uri:example.com"}, sans: []string{"https://10.0.0.1/"}, detail: `URI with IP ("https://10.0.0.1/") cannot be matched against constraints`},
		// OpenSSL takes such a common name for a host when no DNS name is there.
		"common name":               {permit: []string{"example.com"}, cn: "a.example.com", sans: []string{"10.0.0.1"}},
		"common name outside":       {permit: []string{"example.com"}, cn: "a.example.org", sans: []string{"a@example.org"}, detail: `DNS name "a.example.org" is not permitted by any constraint`},
		"common name alone":         {exclude: []string{"example.org"}, cn: "A.example.org", detail: `DNS name "A.example.org" is excluded by constraint "example.org"`},
		"common name beside DNS":    {permit: []string{"example.com"}, cn: "a.example.org", sans: []string{"example.com"}},
		"common name of a person":   {permit: []string{"example.com"}, cn: "Alice B. Carol", sans: []string{"a@example.org"}},
		"common name of one label":  {permit: []string{"example.com"}, cn: "alice"},
		"common name like mail":     {permit: []string{"example.com"}, cn: "alice@example.org"},
		"common name with odd dots": {permit: []string{"example.com"}, cn: "a..example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := pki.Request{Subject: pki.Subject{CommonName: tt.cn}, SANs: pkitest.SANs(t, tt.sans...)}
			r := pki.CARequest{Permit: constraints(t, tt.permit...), Exclude: constraints(t, tt.exclude...), PathLen: pki.NoPathLen}
			root := pkitest.NewRoot(t, r)
			// The same holds for the issuer's own constraints and for those above it.
			for where, a := range map[string]*pki.Authority{
				"Test root CA":    pkitest.NewIntermediate(t, root, pki.CARequest{}),
				"Test issuing CA": pkitest.NewIntermediate(t, pkitest.Root(t), r),
			} {
				d, err := a.Prepare(profiles.Client(), request)
				if tt.detail == "" {
					if err != nil {
						t.Fatalf("by %s: %v", where, err)
					}
					cert, err := a.Sign(d, pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public())
					if err != nil {
						t.Fatal(err)
					}
					verify(t, a, cert, x509.ExtKeyUsageClientAuth)
					continue
				}
				e, ok := errors.AsType[*pki.ConstraintError](err)
				if !ok {
					t.Fatalf("by %s: %v; want a *ConstraintError", where, err)
				}
				if diff := cmp.Diff(pki.ConstraintError{Authority: where, Detail: tt.detail}, *e); diff != "" {
					t.Errorf("by %s (-want +got):\n%s", where, diff)
				}
			}
		})
	}
	e := &pki.ConstraintError{Authority: "Acme root CA", Detail: `DNS name "x" is not permitted by any constraint`}
	if got, want := e.Error(), `the name constraints of "Acme root CA": DNS name "x" is not permitted by any constraint`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// verify fails the test unless crypto/x509 accepts cert under a for purpose, at
// the time of the fixed clock.
func verify(t testing.TB, a *pki.Authority, cert *x509.Certificate, purposes ...x509.ExtKeyUsage) {
	t.Helper()
	if err := verifyErr(a, cert, purposes...); err != nil {
		t.Errorf("crypto/x509: %v", err)
	}
}

func verifyErr(a *pki.Authority, cert *x509.Certificate, purposes ...x509.ExtKeyUsage) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.Root())
	for _, c := range a.ChainFor(cert)[1:] {
		between.AddCert(c)
	}
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: pkitest.Clock(), KeyUsages: purposes})
	return err
}
