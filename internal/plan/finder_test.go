package plan

import (
	"fmt"
	"testing"
)

func TestLikeness(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"issuer", "isuer", true}, {"issuer", "issure", true}, {"web", "web-tls", true}, {"web-tls", "web", true}, {"tls", "web-tls", true},
		{"db", "web", false}, {"issuer", "letsencrypt", false}, {"a", "b", true}, {"", "a", false}, {"web", "website", false},
	} {
		if got := likeness(test.a, test.b) > 0; got != test.want {
			t.Errorf("%q and %q: %t", test.a, test.b, got)
		}
	}
	if d := distance("kitten", "sitting", 9); d != 3 {
		t.Errorf("distance %d", d)
	}
	if likeness("issuer", "issuers") <= likeness("issuer", "issuer-x") || likeness("issuer", "isuer") <= likeness("issuer", "isure") {
		t.Error("the nearer name should win")
	}
}

// Names that name nothing, and look like many others, must not make a plan slow.
func TestManyMissing(t *testing.T) {
	t.Parallel()
	var objects []any
	for i := range 3000 {
		objects = append(objects, certificate(fmt.Sprintf("tls/c%d", i), ref("", fmt.Sprintf("missing%d", i))), selfIssuer(fmt.Sprintf("tls/issuer%d", i)))
	}
	p := newPlanner(inputOf(objects...))
	if err := p.resolveAll(); err != nil {
		t.Fatal(err)
	}
	if p.finishIssuers(); len(p.problems) != 3000 {
		t.Errorf("got %d problems", len(p.problems))
	}
	// Each question asks once more before it gives up.
	if p.finder.spent > patience+3000 {
		t.Errorf("compared %d names", p.finder.spent)
	}
}
