package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// Three judges who did not write this package: zlint for the standards,
// crypto/x509 and OpenSSL for what verifiers do.

// lints returns zlint's rules without those of the CA/Browser Forum, which bind
// public CAs: ours may issue for ten years, for internal names and to clients.
func lints(t testing.TB) lint.Registry {
	t.Helper()
	var forum lint.SourceList
	for _, s := range lint.GlobalRegistry().Sources() {
		if strings.HasPrefix(string(s), "CABF_") {
			forum = append(forum, s)
		}
	}
	r, err := lint.GlobalRegistry().Filter(lint.FilterOptions{ExcludeSources: forum})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Names()); n < 160 {
		t.Fatalf("%d lints are left; the filter takes too many", n)
	}
	return r
}

// exempt reports whether a finding is against what is ours to decide, or zlint's
// own mistake.
func exempt(name string, c *x509.Certificate) bool {
	switch name {
	case "e_mp_ecdsa_pub_key_encoding_correct", "e_mp_ecdsa_signature_encoding_correct":
		// Mozilla's store takes P-256 and P-384 alone. P-521 is asked for by other rules.
		key, ok := c.PublicKey.(*ecdsa.PublicKey)
		return ok && key.Curve == elliptic.P521() || c.SignatureAlgorithm == x509.ECDSAWithSHA512
	case "e_client_auth_not_allowed":
		return true // Chrome's store is for servers
	case "e_ext_san_uri_host_not_fqdn_or_ip":
		// A trust domain is a name, not a host: SPIFFE-ID section 2.1 allows one label.
		return !slices.ContainsFunc(c.URIs, func(u *url.URL) bool { return u.Scheme != "spiffe" && !isFullDomain(u.Hostname()) })
	case "e_rfc_dnsname_underscore_in_sld":
		// Below a suffix of two labels, such as co.uk, the domain that is registered
		// is the third from the right. Which suffixes are such is a list that
		// changes, so our rule is the last two labels.
		return !slices.ContainsFunc(c.DNSNames, func(n string) bool {
			labels := strings.Split(n, ".")
			return strings.Contains(strings.Join(labels[max(len(labels)-2, 0):], "."), "_") && len(labels) > 1
		})
	case "e_name_constraint_not_fqdn":
		hosts := append(slices.Clone(c.PermittedURIDomains), c.ExcludedURIDomains...)
		return !slices.ContainsFunc(hosts, func(h string) bool { return !isFullDomain(strings.TrimPrefix(h, ".")) })
	}
	return false
}

// isFullDomain is for what zlint takes for one: what a pattern for web addresses
// matches, which misses some short names, such as a.a.
func isFullDomain(host string) bool { return strings.Contains(strings.Trim(host, "."), ".") }

// findings returns what zlint has against a certificate, of severity error or
// fatal.
func findings(t testing.TB, r lint.Registry, der []byte) (all []string) {
	t.Helper()
	c, err := zx509.ParseCertificate(der)
	if err != nil {
		return []string{"zcrypto cannot read it: " + err.Error()}
	}
	ours, err := x509.ParseCertificate(der)
	if err != nil {
		return []string{"crypto/x509 cannot read it: " + err.Error()}
	}
	for name, result := range zlint.LintCertificateEx(c, r).Results {
		if result.Status >= lint.Error && !exempt(name, ours) {
			all = append(all, name+" "+result.Details)
		}
	}
	slices.Sort(all)
	return all
}

// A judge who never objects is none.
func TestLintsFind(t *testing.T) {
	t.Parallel()
	r := lints(t)
	root, signer := pkitest.Root(t), pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	for want, change := range map[string]func(*x509.Certificate){
		// What the client profile once did with RSA keys.
		"e_key_usage_and_extended_key_usage_inconsistent": func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		},
		"e_ext_san_uri_host_not_fqdn_or_ip":    func(c *x509.Certificate) { c.URIs = parseURLs(t, "https://localhost/x") },
		"e_rfc_dnsname_underscore_in_sld":      func(c *x509.Certificate) { c.DNSNames = []string{"a_b.com"} },
		"e_rfc_dnsname_label_too_long":         func(c *x509.Certificate) { c.DNSNames = []string{label63 + "a.com"} },
		"e_rfc_dnsname_empty_label":            func(c *x509.Certificate) { c.DNSNames = []string{"a..com"} },
		"e_ext_key_usage_cert_sign_without_ca": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign },
	} {
		cert := foreign(t, root, signer, pkitest.Key(t, profiles.RSA2048, pkitest.LeafKey).Public(), func(c *x509.Certificate) {
			c.IsCA, c.MaxPathLen, c.KeyUsage = false, 0, x509.KeyUsageDigitalSignature
			change(c)
		})
		got := findings(t, r, cert.Raw)
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, want+" ") }) {
			t.Errorf("want %s, found %q", want, got)
		}
	}
}

func parseURLs(t testing.TB, all ...string) (urls []*url.URL) {
	t.Helper()
	for _, s := range all {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, u)
	}
	return urls
}

// judged are the names and the subjects that every profile is tried with.
var judged = map[string][]string{
	"server": {"a.example.com", "*.example.com", "10.0.0.7", "2001:db8::7", "localhost"},
	"client": {"alice@example.com", "https://example.com:8443/id", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "a.example.com"},
	"peer":   {"node-1.internal", "10.0.0.7", "my_service"},
	"spiffe": {"spiffe://cluster.local/ns/prod/sa/web", "web.prod.svc"},
}

// issueAll issues one certificate for every profile and type of key.
func issueAll(t testing.TB, ca *pki.Authority) map[string]*x509.Certificate {
	t.Helper()
	all := map[string]*x509.Certificate{}
	for _, p := range profiles.Builtin() {
		for i, k := range profiles.KeyTypes() {
			r := pki.Request{Key: k, SANs: pkitest.SANs(t, judged[p.Name()]...)}
			if i%2 == 0 { // empty subjects for the others
				r.Subject = fullSubject
			}
			all[p.Name()+"."+string(k)] = pkitest.Issue(t, ca, p, r).Leaf()
		}
	}
	if len(all) != 4*7 {
		t.Fatalf("%d certificates", len(all))
	}
	return all
}

func TestProfilesBeforeJudges(t *testing.T) {
	t.Parallel()
	r := lints(t)
	purposes := map[x509.ExtKeyUsage]struct{ openssl, profiles string }{
		x509.ExtKeyUsageServerAuth: {"sslserver", "server peer spiffe"},
		x509.ExtKeyUsageClientAuth: {"sslclient", "client peer spiffe"},
	}
	for _, caKey := range profiles.KeyTypes() {
		t.Run(string(caKey), func(t *testing.T) {
			t.Parallel()
			root := pkitest.NewRoot(t, pki.CARequest{Key: caKey, PathLen: 1})
			ca := pkitest.NewIntermediate(t, root, pki.CARequest{Key: caKey})
			ca = pkitest.Authority(t, pki.AuthorityConfig{Chain: ca.FullChain(), Signer: pkitest.Key(t, caKey, pkitest.IssuingKey), URLs: someURLs})
			leaves := issueAll(t, ca)
			for name, c := range leaves {
				if found := findings(t, r, c.Raw); len(found) > 0 {
					t.Errorf("%s: zlint: %s", name, strings.Join(found, "; "))
				}
			}
			for purpose, p := range purposes {
				want := map[string]bool{}
				for name, c := range leaves {
					profile, _, _ := strings.Cut(name, ".")
					want[name] = slices.Contains(strings.Fields(p.profiles), profile)
					if err := verifyErr(ca, c, purpose); (err == nil) != want[name] {
						t.Errorf("%s as %s: crypto/x509: %v", name, p.openssl, err)
					}
				}
				t.Run(p.openssl, func(t *testing.T) {
					if diff := cmp.Diff(want, openssl(t, ca, leaves, "-purpose", p.openssl)); diff != "" {
						t.Errorf("openssl verify (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

func TestAuthoritiesBeforeJudges(t *testing.T) {
	t.Parallel()
	r := lints(t)
	permit := constraints(t, "example.com", "10.0.0.0/8", "fd00::/8", "@example.com", "email:.example.com", "uri:.example.com", "spiffe://example.org")
	exclude := constraints(t, "bad.example.com", "10.9.0.0/16", "x@example.com", "uri:bad.example.com")
	for _, k := range profiles.KeyTypes() {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			key := pkitest.Key(t, k, pkitest.RootKey)
			below := map[string]*x509.Certificate{}
			var root *pki.Authority
			for name, ask := range map[string]pki.CARequest{
				"plain":       {Key: k, PathLen: pki.NoPathLen},
				"subject":     {Key: k, PathLen: pki.NoPathLen, Subject: fullSubject},
				"path length": {Key: k, PathLen: 1},
				"constraints": {Key: k, PathLen: pki.NoPathLen, Permit: permit, Exclude: exclude},
			} {
				a := pkitest.NewRoot(t, ask)
				if found := findings(t, r, a.Certificate().Raw); len(found) > 0 {
					t.Errorf("root, %s: zlint: %s", name, strings.Join(found, "; "))
				}
				if name == "plain" {
					root = pkitest.Authority(t, pki.AuthorityConfig{Chain: a.FullChain(), Signer: key, URLs: someURLs})
				}
			}
			for name, ask := range map[string]pki.CARequest{
				"plain":       {Key: k, PathLen: pki.NoPathLen},
				"subject":     {Key: k, Subject: fullSubject},
				"constraints": {Key: k, Permit: permit, Exclude: exclude},
			} {
				a := pkitest.NewIntermediate(t, root, ask)
				below[strings.ReplaceAll(name, " ", "-")] = a.Certificate()
				if found := findings(t, r, a.Certificate().Raw); len(found) > 0 {
					t.Errorf("intermediate, %s: zlint: %s", name, strings.Join(found, "; "))
				}
				verify(t, root, a.Certificate(), x509.ExtKeyUsageAny)
			}
			t.Run("openssl", func(t *testing.T) {
				want := map[string]bool{"plain": true, "subject": true, "constraints": true}
				if diff := cmp.Diff(want, openssl(t, root, below)); diff != "" {
					t.Errorf("openssl verify (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What crypto/x509 says of name constraints, OpenSSL says too.
func TestConstraintsBeforeOpenSSL(t *testing.T) {
	t.Parallel()
	free := pkitest.Issuing(t)
	certs, want := map[string]*x509.Certificate{}, map[string]bool{}
	limited := pkitest.NewIntermediate(t, pkitest.Root(t), pki.CARequest{
		Permit:  constraints(t, "example.com", "10.0.0.0/8", "@example.com", "spiffe://example.org"),
		Exclude: constraints(t, "bad.example.com"),
	})
	for i, r := range []pki.Request{
		{SANs: pkitest.SANs(t, "example.com", "a.example.com", "10.1.2.3", "a@example.com", "spiffe://example.org/x")},
		{SANs: pkitest.SANs(t, "example.org")},
		{SANs: pkitest.SANs(t, "x.bad.example.com")},
		{SANs: pkitest.SANs(t, "11.0.0.1")},
		{SANs: pkitest.SANs(t, "fd00::1")},
		{SANs: pkitest.SANs(t, "a@sub.example.com")},
		{SANs: pkitest.SANs(t, "spiffe://sub.example.org/x")},
		{Subject: pki.Subject{CommonName: "a.example.org"}, SANs: pkitest.SANs(t, "a@example.com")},
		{Subject: pki.Subject{CommonName: "a.example.org"}, SANs: pkitest.SANs(t, "example.com")},
		{Subject: pki.Subject{CommonName: "alice"}},
	} {
		name := strconv.Itoa(i)
		_, err := limited.Prepare(profiles.Client(), r)
		want[name] = err == nil
		// Signed without looking: by the same key and name, without constraints.
		certs[name] = pkitest.Issue(t, free, profiles.Client(), r).Leaf()
	}
	if diff := cmp.Diff(want, openssl(t, limited, certs, "-purpose", "sslclient")); diff != "" {
		t.Errorf("openssl verify (-mtlsctl +openssl):\n%s", diff)
	}
}

// A CA of another program may say what it is for, and verifiers hold all below
// it to that.
func TestPurposesOfCABeforeJudges(t *testing.T) {
	t.Parallel()
	root, issuing := pkitest.Root(t), pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey)
	withPurposes := func(purposes ...x509.ExtKeyUsage) *pki.Authority {
		cert := foreign(t, root, pkitest.Key(t, profiles.ECP256, pkitest.RootKey), issuing.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = purposes })
		return pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert, root.Certificate()}, Signer: issuing})
	}
	server := withPurposes(x509.ExtKeyUsageServerAuth)
	free := withPurposes()
	request := pki.Request{SANs: pkitest.SANs(t, "a.example")}
	verify(t, server, pkitest.Issue(t, server, profiles.Server(), request).Leaf(), x509.ExtKeyUsageServerAuth)
	for _, p := range []*profiles.Profile{profiles.Client(), profiles.Peer()} {
		_, err := server.Prepare(p, request)
		if want := `"Foreign CA" does not sign for client auth: the issuer's extended key usage does not allow it`; err == nil || err.Error() != want || !errors.Is(err, pki.ErrPurpose) {
			t.Errorf("%s:\ngot  %v\nwant %s", p.Name(), err, want)
		}
		// Signed without looking: by the same key and name.
		cert := pkitest.Issue(t, free, p, request).Leaf()
		if err := verifyErr(server, cert, x509.ExtKeyUsageClientAuth); err == nil {
			t.Errorf("%s: crypto/x509 accepts it", p.Name())
		}
	}
	for _, a := range []*pki.Authority{free, withPurposes(x509.ExtKeyUsageAny), withPurposes(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth)} {
		verify(t, a, pkitest.Issue(t, a, profiles.Peer(), request).Leaf(), x509.ExtKeyUsageClientAuth)
	}
	certs := map[string]*x509.Certificate{"client": pkitest.Issue(t, free, profiles.Client(), request).Leaf()}
	if diff := cmp.Diff(map[string]bool{"client": false}, openssl(t, server, certs, "-purpose", "sslclient")); diff != "" {
		t.Errorf("openssl verify (-want +got):\n%s", diff)
	}
}

// UTCTime to 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
func TestTimesBeforeJudges(t *testing.T) {
	t.Parallel()
	r := lints(t)
	for _, l := range []pki.Lifetime{
		{NotAfter: time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)},
		{NotAfter: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
		{NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
		{NotBefore: time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
		{NotBefore: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		root := pkitest.NewRoot(t, pki.CARequest{Lifetime: l}).Certificate()
		if found := findings(t, r, root.Raw); len(found) > 0 {
			t.Errorf("%v to %v: zlint: %s", root.NotBefore, root.NotAfter, strings.Join(found, "; "))
		}
	}
}

// openssl tells which certificates OpenSSL accepts under a, at the time of the
// fixed clock.
func openssl(t *testing.T, a *pki.Authority, certs map[string]*x509.Certificate, args ...string) map[string]bool {
	t.Helper()
	program := pkitest.Program(t, "openssl")
	dir := t.TempDir()
	write := func(name string, certs ...*x509.Certificate) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pki.MarshalCertificates(certs), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args = append([]string{
		"verify", "-x509_strict", "-attime", strconv.FormatInt(pkitest.Clock().Unix(), 10),
		"-no-CApath", "-no-CAstore", "-CAfile", write("ca.crt", a.Root()), "-untrusted", write("chain.crt", a.Chain()...),
	}, args...)
	got := map[string]bool{}
	for name, c := range certs {
		args = append(args, write(name, c))
		got[name] = false
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	// Its exit status says only that one was refused; which, the text says.
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if path, ok := strings.CutSuffix(strings.TrimSpace(line), ": OK"); ok {
			got[filepath.Base(path)] = true
		}
	}
	t.Logf("openssl %s\n%s", strings.Join(args, " "), out.String())
	return got
}
