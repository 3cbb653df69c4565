package cmd

import (
	"slices"
	"testing"
)

func TestNamingPKI(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Next: mtlsctl issue server a.example":                                         "Next: mtlsctl --pki 'my pki' issue server a.example",
		"'mtlsctl tree' shows them; 'mtlsctl export --list' and 'mtlsctl version' too": "'mtlsctl --pki 'my pki' tree' shows them; 'mtlsctl --pki 'my pki' export --list' and 'mtlsctl version' too",
		"mtlsctl --pki /x renew a":                                                     "mtlsctl --pki /x renew a",
		"what mtlsctl issued, mtlsctl ":                                                "what mtlsctl issued, mtlsctl ",
		"'mtlsctl export p12 --help' says":                                             "'mtlsctl export p12 --help' says",
		"mtlsctl issues nothing":                                                       "mtlsctl issues nothing",
		"a line\nmtlsctl import-ca old\n":                                              "a line\nmtlsctl --pki 'my pki' import-ca old\n",
	} {
		if got := namingPKI(in, "my pki"); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", in, got, want)
		}
		if got := namingPKI(in, ""); got != in {
			t.Errorf("without --pki, %q becomes %q", in, got)
		}
	}
}

// Every command is one that reads the PKI directory, or one that does not.
func TestPKIVerbs(t *testing.T) {
	t.Parallel()
	var all []string
	for _, c := range testRoot(t).Commands() {
		if !slices.Contains([]string{"version", "completion", "man", "help", "exit-status"}, c.Name()) {
			all = append(all, c.Name())
		}
	}
	got := pkiVerbs()
	slices.Sort(got)
	slices.Sort(all)
	if !slices.Equal(got, all) {
		t.Errorf("got  %v\nwant %v", got, all)
	}
}
