package pki_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// pieces are what random names are put together from: what is common, what is
// odd, and what stands between the two.
var pieces = strings.Split("a b ab example com org internal localhost local co uk svc cluster www 1 7 10 0 255 256 xn-- bcher-kva ü ß 例え テスト İ ſ ﬁ ａ "+
	"_ __ _tcp - -- --- . . . . .. 。 * *. : :: / // @ + % %41 %zz ? # = & ~ ! ' ( ) [ ] [::1] ::1 fd00 ffff :8443 "+
	"https:// HTTPS:// ldap:// spiffe:// spiffe://example.org/ urn:uuid: tag: uri: dns: ip: email: mailto: A Z \u00ad \u200d \u0308 \x7f \" \\ < > { } | ^ ` "+
	strings.Repeat("x", 60)+" "+strings.Repeat("long.", 40), " ")

func randomName(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(7) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// randomSANs returns names that NewSAN accepts, at least least of every kind.
func randomSANs(t testing.TB, least int) (all []pki.SAN) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	front := map[profiles.SANKind][]string{
		"dns": {"", "*.", "_a.", "a1--"}, "ip": {"", "10.0.0.", "fd00::"}, "email": {"a@", "A.b+c@"},
		"uri": {"", "https://example.com/", "https://", "urn:"}, "spiffe": {"spiffe://", "spiffe://example.org/"},
	}
	for _, kind := range profiles.SANKinds() {
		found := map[pki.SAN]bool{}
		for range 100_000 {
			if len(found) == least {
				break
			}
			value := front[kind][r.IntN(len(front[kind]))] + randomName(r)
			if s, err := pki.NewSAN(kind, value); err == nil && s.Kind() == kind && !found[s] {
				found[s] = true
				all = append(all, s)
			}
		}
		if len(found) < least {
			t.Fatalf("%d names of kind %s", len(found), kind)
		}
	}
	return all
}

// Whatever NewSAN accepts can be certified, stands in the certificate as it was
// given, and is no error to zlint.
func TestRandomNamesBeforeJudges(t *testing.T) {
	t.Parallel()
	r := lints(t)
	ca := pkitest.Issuing(t)
	for _, s := range randomSANs(t, 60) {
		cert := pkitest.Issue(t, ca, profiles.Client(), pki.Request{SANs: []pki.SAN{s}}).Leaf()
		if got := pki.SANsOf(cert); len(got) != 1 || got[0] != s {
			t.Errorf("%s is certified as %v", s, got)
		}
		for _, f := range findings(t, r, cert.Raw) {
			t.Errorf("%s: zlint: %s", s, f)
		}
	}
}

func TestRandomConstraintsBeforeJudges(t *testing.T) {
	t.Parallel()
	lint := lints(t)
	r := rand.New(rand.NewPCG(3, 4))
	fronts := []string{"", "dns:", "ip:", "10.0.0.0/", "fd00::/", "email:", "email:.", "@", "a@", "uri:", "uri:.", "spiffe://"}
	found := map[pki.Constraint]bool{}
	for range 100_000 {
		if len(found) == 150 {
			break
		}
		c, err := pki.ParseConstraint(fronts[r.IntN(len(fronts))] + randomName(r))
		if err != nil || found[c] {
			continue
		}
		found[c] = true
		root := pkitest.NewRoot(t, pki.CARequest{Permit: []pki.Constraint{c}, Exclude: []pki.Constraint{c}}).Certificate()
		permit, exclude := pki.ConstraintsOf(root)
		if diff := cmp.Diff([]string{c.String(), c.String()}, []string{permit[0].String(), exclude[0].String()}); diff != "" || len(permit)+len(exclude) != 2 {
			t.Errorf("%s is certified as %v, %v", c, permit, exclude)
		}
		for _, f := range findings(t, lint, root.Raw) {
			t.Errorf("%s: zlint: %s", c, f)
		}
	}
	if len(found) < 150 {
		t.Errorf("%d constraints", len(found))
	}
}
