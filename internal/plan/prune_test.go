package plan

import (
	"iter"
	"slices"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

func TestPrune(t *testing.T) {
	t.Parallel()
	root, sub, leaf := certificate("tls/root", isCA), certificate("tls/sub", isCA, ref("", "root")), certificate("tls/leaf", ref("", "sub"))
	issuers := []any{caIssuer("tls/root", "root-tls"), caIssuer("tls/sub", "sub-tls")}
	all := directory{
		"tls/root": actual(root), "tls/sub": actual(sub, by("tls/root")), "tls/leaf": actual(leaf, by("tls/sub")),
		"tls/req": {Issuer: "tls/sub", Applied: NewAppliedRequest(request("tls/req", nil, issuedBy("", "sub")))},
	}
	for name, test := range map[string]struct {
		left     []any
		noPrune  bool
		hand     string // signed by sub, by hand
		want     []string
		problems []string
	}{
		"nothing":                    {left: []any{root, sub, leaf, request("tls/req", nil, issuedBy("", "sub"))}},
		"not asked for":              {noPrune: true},
		"leaf":                       {left: []any{root, sub, request("tls/req", nil, issuedBy("", "sub"))}, want: []string{"tls/leaf"}},
		"everything":                 {want: []string{"tls/leaf", "tls/req", "tls/root", "tls/sub"}},
		"an authority with its last": {left: []any{root}, want: []string{"tls/leaf", "tls/req", "tls/sub"}},
		"an authority in use": {left: []any{root, leaf}, problems: []string{
			"the PKI directory: Certificate tls/sub: no manifest names it any more, but it is not removed: its authority signed tls/leaf | name it again, or remove those first"}},
		"an authority's authority": {left: []any{sub}, problems: []string{
			"the PKI directory: Certificate tls/root: no manifest names it any more, but it is not removed: its authority signed tls/sub | name it again, or remove those first"}},
		"in use by hand": {left: []any{root}, hand: "laptop", problems: []string{
			"the PKI directory: Certificate tls/sub: no manifest names it any more, but it is not removed: its authority signed laptop | name it again, or remove those first"}},
		"leaf goes elsewhere": {left: []any{root, certificate("tls/leaf", ref("", "root"))}, want: []string{"tls/req", "tls/sub"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := all.with(inputOf(slices.Concat(issuers, test.left)...))
			in.Prune = !test.noPrune
			in.CASecret = func(k manifest.Key) (string, bool) {
				name := map[string]string{"tls/root-tls": "tls/root", "tls/sub-tls": "tls/sub"}[k.String()]
				return name, name != ""
			}
			in.SignedBy = func(authority string) iter.Seq[string] {
				return func(yield func(string) bool) {
					for name, a := range all {
						if a.Issuer == authority && !yield(name) {
							return
						}
					}
					if test.hand != "" && authority == "tls/sub" {
						yield(test.hand)
					}
				}
			}
			in.Now = pkitest.Clock()
			if test.problems != nil {
				same(t, problems(t, in), test.problems)
				return
			}
			same(t, mustMake(t, in).Removals, test.want)
		})
	}
}
