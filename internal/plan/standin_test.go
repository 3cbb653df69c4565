package plan

import (
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

func TestStandIns(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]StandIn{
		"le=issuing":               {Name: "le", Authority: "issuing"},
		"ClusterIssuer/le=issuing": {Kind: "ClusterIssuer", Name: "le", Authority: "issuing"},
		"team-a/le=tls/ca":         {Namespace: "team-a", Name: "le", Authority: "tls/ca"},
		"Issuer/team-a/le=issuing": {Kind: "Issuer", Namespace: "team-a", Name: "le", Authority: "issuing"},
		"AWSPCAIssuer/team-a/le=x": {Kind: "AWSPCAIssuer", Namespace: "team-a", Name: "le", Authority: "x"},
	} {
		got, err := ParseStandIn(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{
		"le":                        "authority is missing",
		"=x":                        "part of it is empty",
		"le=":                       "part of it is empty",
		"/le=x":                     "part of it is empty",
		"Issuer//le=x":              "part of it is empty",
		"le=x/":                     "part of it is empty",
		"a/b/c=x":                   "a is no kind of issuer",
		"Issuer/a/b/c=x":            "too many parts",
		"ClusterIssuer/team-a/le=x": "write ClusterIssuer/le=x",
	} {
		if got, err := ParseStandIn(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
}

func FuzzParseStandIn(f *testing.F) {
	for _, s := range []string{"le=issuing", "ClusterIssuer/le=issuing", "Issuer/team-a/le=tls/ca", "=", "a//b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseStandIn(s)
		if err != nil {
			if got != (StandIn{}) {
				t.Errorf("%q gave %+v beside an error", s, got)
			}
			return
		}
		if got.String() != s {
			t.Errorf("%q is written %q", s, got)
		}
	})
}

// The closest stand-in signs; one that is of no use is told.
func TestStandInsMatch(t *testing.T) {
	t.Parallel()
	external := ref("Thing", "le")
	c := func(key, kind string) *manifest.Certificate { return certificate(key, ref(kind, "le")) }
	out := certificate("c/out", external)
	out.Spec.IssuerRef.Group = "example.com"
	in := directory{"any": {Authority: true}, "team": {Authority: true}, "kind": {Authority: true}, "both": {Authority: true}}.with(
		inputOf(c("a/one", ""), c("a/two", "ClusterIssuer"), c("b/three", ""), c("b/four", "ClusterIssuer"), out, acmeIssuer("le")))
	for _, a := range []string{"any", "team", "kind", "both"} {
		in.Authorities = func(name string) bool { return true }
		in.StandIns = append(in.StandIns, map[string]StandIn{
			"any": {Name: "le", Authority: a}, "team": {Namespace: "a", Name: "le", Authority: a},
			"kind": {Kind: "ClusterIssuer", Name: "le", Authority: a}, "both": {Kind: "Issuer", Namespace: "d", Name: "le", Authority: a},
		}[a])
	}
	in.Actual = func(string) (*Actual, error) { return nil, nil }
	p := mustMake(t, in)
	var got []string
	for _, a := range p.Actions {
		got = append(got, a.Name+" by "+a.Signer.Authority)
	}
	same(t, got, []string{"a/one by team", "a/two by kind", "b/three by any", "b/four by kind", "c/out by any"})
	same(t, warnings(p), []string{"--issuer Issuer/d/le=both: it stands in for nothing: no issuerRef names Issuer/d/le"})

	in.StandIns = []StandIn{{Name: "le", Authority: "any"}, {Name: "le", Authority: "team"}}
	if _, err := Make(in); err == nil || err.Error() != "--issuer le=any and --issuer le=team: which of them stands in?" {
		t.Errorf("got error %v", err)
	}
	in.StandIns = []StandIn{{Name: "le", Authority: "none"}}
	in.Authorities = func(string) bool { return false }
	if _, err := Make(in); err == nil || err.Error() != `--issuer le=none: there is no authority "none"` {
		t.Errorf("got error %v", err)
	}

	in.Authorities = func(string) bool { return true }
	in.StandIns = []StandIn{{Kind: "Issuer", Name: "le", Authority: "kind"}, {Namespace: "a", Name: "le", Authority: "team"}}
	if got := mustMake(t, in).Actions[0]; got.Name != "a/one" || got.Signer.Authority != "team" {
		t.Errorf("%s is signed by %s: a namespace is closer than a kind", got.Name, got.Signer.Authority)
	}
}
