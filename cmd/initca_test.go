package cmd

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func initCASecrets() (own, parent secretFlags) {
	return secretFlags{word: "passphrase"}, secretFlags{word: "parent-passphrase"}
}

func TestInitCAOptions(t *testing.T) {
	t.Parallel()
	own, parent := initCASecrets()
	newCmd := func(run func(context.Context, *initCAOptions) error) *cobra.Command { return newInitCACmd(&app{}, run) }
	checkOptions(t, newCmd, map[string]optionsTest[initCAOptions]{
		"nothing":   {want: initCAOptions{secret: own, parentPassphrase: parent}},
		"root only": {args: []string{"--root-only"}, want: initCAOptions{rootOnly: true, secret: own, parentPassphrase: parent}},
		"everything": {
			args: []string{
				"mesh", "--parent", "root", "--cn", "Mesh", "--org", "Acme", "--key", "ec-p384", "--validity", "2y", "--not-before", "2027-01-31",
				"--path-len", "1", "--permit", "example.com", "--permit", "10.0.0.0/8", "--exclude", "@example.org",
				"--crl-url", "http://pki.example.com/{authority}.crl", "--aia-url", "http://pki.example.com/a.crt", "--ocsp-url", "http://ocsp.example.com",
				"--default", "--if-missing", "--passphrase-file", "f", "--parent-passphrase-env", "E", "--ca-key", "root.key",
			},
			want: initCAOptions{
				name: "mesh", parent: "root", subject: pki.Subject{CommonName: "Mesh", Organizations: []string{"Acme"}}, key: profiles.ECP384,
				lifetime: pki.Lifetime{Validity: 2 * 365 * oneDay, NotBefore: moment(2027, 1, 31, 0)}, pathLen: 1, pathLenSet: true,
				permit:  []pki.Constraint{mustConstraint(t, "example.com"), mustConstraint(t, "10.0.0.0/8")},
				exclude: []pki.Constraint{mustConstraint(t, "@example.org")},
				urls: pki.URLs{
					CRL: []string{"http://pki.example.com/{authority}.crl"}, AIA: []string{"http://pki.example.com/a.crt"}, OCSP: []string{"http://ocsp.example.com"},
				},
				makeDefault: true, ifMissing: true, caKey: "root.key",
				secret:           secretFlags{word: "passphrase", file: "f"},
				parentPassphrase: secretFlags{word: "parent-passphrase", env: "E"},
			},
		},
		"the key elsewhere": {
			args: []string{"--root-key-out", "root.key"}, want: initCAOptions{rootKeyOut: "root.key", secret: own, parentPassphrase: parent},
		},
		"no limit": {args: []string{"--path-len", "none"}, want: initCAOptions{pathLen: pki.NoPathLen, pathLenSet: true, secret: own, parentPassphrase: parent}},
		"zero":     {args: []string{"--path-len", "0"}, want: initCAOptions{pathLenSet: true, secret: own, parentPassphrase: parent}},

		"two names":        {args: []string{"a", "b"}, err: `"b" is one argument too many`},
		"a bad length":     {args: []string{"--path-len", "one"}, err: `--path-len "one": a path length is 0, 1, 2 ... or "none"`},
		"a bad constraint": {args: []string{"--permit", "*.example.com"}, err: `--permit "*.example.com": no wildcard can stand here`},
		"no common name":   {args: []string{"a", "--cn", ""}, err: `--cn "": it is empty`},
		"one input for two": {
			args: []string{"a", "--parent", "b", "--passphrase-stdin", "--parent-passphrase-stdin"},
			err:  "--passphrase-stdin and --parent-passphrase-stdin exclude each other",
		},
		"no root's key":   {args: []string{"a", "--root-key-out", "f", "--parent", "b"}, err: "--root-key-out and --parent exclude each other"},
		"root only below": {args: []string{"--root-only", "--parent", "b"}, err: "--root-only and --parent exclude each other"},
	})
}

func TestParsePublishURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"http://pki.example.com/root.crl", "https://pki.example.com/{authority}.crl", "ldap://ldap.example.com/cn=a", "http://{authority}.example.com/"} {
		if got, err := parsePublishURL(good); got != good || err != nil {
			t.Errorf("parsePublishURL(%q) = %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{"", "pki.example.com/root.crl", "/root.crl", "file:///root.crl", "http:///root.crl", "http://pki.example.com/ü", "http://pki.example.com/a b"} {
		if got, err := parsePublishURL(bad); got != "" || err == nil {
			t.Errorf("parsePublishURL(%q) = %q, %v", bad, got, err)
		}
	}
}

// What the authorities are called, and who is below whom.
func TestAuthorityOrders(t *testing.T) {
	t.Parallel()
	type order struct {
		Name, Parent, CN string
		PathLen          int
		CRL              []string
	}
	crl := func(urls ...string) pki.URLs { return pki.URLs{CRL: urls} }
	acme := pki.Subject{Organizations: []string{"Acme"}}
	for name, tt := range map[string]struct {
		o    initCAOptions
		want []order
		def  string
	}{
		"pair": {
			initCAOptions{}, []order{{"root", "", "root CA", pki.NoPathLen, nil}, {"issuing", "root", "issuing CA", 0, nil}}, "issuing",
		},
		"pair of an organization": {
			initCAOptions{subject: acme}, []order{{"root", "", "Acme root CA", pki.NoPathLen, nil}, {"issuing", "root", "Acme issuing CA", 0, nil}}, "issuing",
		},
		"pair with a common name": {
			initCAOptions{subject: pki.Subject{CommonName: "Test root"}},
			[]order{{"root", "", "Test root", pki.NoPathLen, nil}, {"issuing", "root", "Test issuing CA", 0, nil}}, "issuing",
		},
		"pair with a length": {
			initCAOptions{pathLen: 2, pathLenSet: true}, []order{{"root", "", "root CA", 2, nil}, {"issuing", "root", "issuing CA", 0, nil}}, "issuing",
		},
		"pair with URLs": {
			initCAOptions{urls: crl("http://a.example/{authority}.crl", "http://b.example/b.crl")},
			[]order{
				{"root", "", "root CA", pki.NoPathLen, []string{"http://a.example/root.crl"}},
				{"issuing", "root", "issuing CA", 0, []string{"http://a.example/issuing.crl", "http://b.example/b.crl"}},
			}, "issuing",
		},
		"root": {initCAOptions{rootOnly: true, subject: acme}, []order{{"root", "", "Acme root CA", pki.NoPathLen, nil}}, "root"},
		"name": {initCAOptions{name: "mesh"}, []order{{"mesh", "", "mesh CA", pki.NoPathLen, nil}}, ""},
		"below": {
			initCAOptions{name: "mesh", parent: "root", urls: crl("http://a.example/{authority}.crl")},
			[]order{{"mesh", "root", "mesh CA", 0, []string{"http://a.example/mesh.crl"}}}, "",
		},
		"below, with a length": {
			initCAOptions{name: "mesh", parent: "root", pathLen: 1, pathLenSet: true}, []order{{"mesh", "root", "mesh CA", 1, nil}}, "",
		},
		"default": {initCAOptions{name: "mesh", makeDefault: true}, []order{{"mesh", "", "mesh CA", pki.NoPathLen, nil}}, "mesh"},
	} {
		orders, def, err := (&app{}).authorityOrders(&tt.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []order
		for _, o := range orders {
			got = append(got, order{o.Name.String(), o.Parent, o.Request.Subject.CommonName, o.Request.PathLen, o.URLs.CRL})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || def != tt.def {
			t.Errorf("%s: default %q, want %q (-want +got):\n%s", name, def, tt.def, diff)
		}
	}
}
