package cmd

import (
	"context"
	"fmt"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/plan"
)

func TestApplyOptions(t *testing.T) {
	t.Parallel()
	secret := secretFlags{word: "passphrase"}
	read := manifest.Options{Namespace: "default", ClusterNamespace: "cert-manager"}
	newCmd := func(run func(context.Context, *applyOptions) error) *cobra.Command { return newApplyCmd(&app{}, run) }
	checkOptions(t, newCmd, map[string]optionsTest[applyOptions]{
		"a file": {
			args: []string{"-f", "certs.yaml"},
			want: applyOptions{files: []string{"certs.yaml"}, read: read, passphrase: secret},
		},
		"files with commas in their names, in their order": {
			args: []string{"-f", "b,c.yaml", "--filename", "a", "-f", "-"},
			want: applyOptions{files: []string{"b,c.yaml", "a", "-"}, read: read, passphrase: secret},
		},
		"all others": {
			args: []string{
				"-f", "dir", "-R", "-n", "prod", "--cluster-resource-namespace", "certs", "--out", "secrets", "--force",
				"--prune", "--revoke", "--passphrase-file", "p",
			},
			want: applyOptions{
				files: []string{"dir"}, recursive: true, read: manifest.Options{Namespace: "prod", ClusterNamespace: "certs"},
				out: "secrets", force: true, prune: true, revoke: true, passphrase: secretFlags{word: "passphrase", file: "p"},
			},
		},
		"a dry run": {
			args: []string{"-f", "-", "--dry-run", "--check", "--out", "-"},
			want: applyOptions{files: []string{"-"}, read: read, out: "-", dryRun: true, check: true, passphrase: secret},
		},
		"stand-ins, in their order": {
			args: []string{"-f", "a", "--issuer", "le=issuing", "--issuer", "ClusterIssuer/le=root", "--issuer", "Issuer/prod/le=tls/ca", "--issuer", "prod/le=root"},
			want: applyOptions{files: []string{"a"}, read: read, passphrase: secret, standIns: []plan.StandIn{
				{Name: "le", Authority: "issuing"},
				{Kind: "ClusterIssuer", Name: "le", Authority: "root"},
				{Kind: "Issuer", Namespace: "prod", Name: "le", Authority: "tls/ca"},
				{Namespace: "prod", Name: "le", Authority: "root"},
			}},
		},
		"no file":                  {err: "-f FILE is missing"},
		"a file without its flag":  {args: []string{"certs.yaml"}, err: `"certs.yaml" is one argument too many`},
		"check without dry run":    {args: []string{"-f", "a", "--check"}, err: "--check is about --dry-run"},
		"revoke without prune":     {args: []string{"-f", "a", "--revoke"}, err: "--revoke is about what --prune removes"},
		"standard input, twice":    {args: []string{"-f", "-", "--passphrase-stdin"}, err: "standard input cannot be both the manifest and the passphrase"},
		"a stand-in of nobody":     {args: []string{"-f", "a", "--issuer", "le"}, err: `--issuer "le": the authority is missing: write [KIND/][NAMESPACE/]NAME=AUTHORITY`},
		"a namespace for everyone": {args: []string{"-f", "a", "--issuer", "ClusterIssuer/prod/le=root"}, err: `--issuer "ClusterIssuer/prod/le=root": a ClusterIssuer has no namespace: write ClusterIssuer/le=root`},
	})
}

func TestSpecNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cn       string
		dns, ips []string
		want     string
	}{
		{want: ""},
		{cn: "web", want: "CN web"},
		{cn: "web", dns: []string{"a"}, want: "DNS a"},
		{dns: []string{"a", "b"}, ips: []string{"10.0.0.7"}, want: "DNS a, DNS b, IP 10.0.0.7"},
		{dns: []string{"a", "b"}, ips: []string{"10.0.0.7", "::1"}, want: "DNS a, DNS b, IP 10.0.0.7 and 1 more"},
	} {
		c := &manifest.Certificate{}
		c.Spec.CommonName, c.Spec.DNSNames, c.Spec.IPAddresses = tt.cn, tt.dns, tt.ips
		if got := specNames(c); got != tt.want {
			t.Errorf("%+v: %q, not %q", tt, got, tt.want)
		}
	}
}

// Of many warnings and rows a person is shown some, a program all.
func TestApplyShowsSome(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{false, true} {
		r := &applyRun{app: &app{json: json}}
		for i := range 3 * shown {
			r.add(appliedJSON{Name: fmt.Sprint(i), Verb: plan.Create})
		}
		want := shown
		if json {
			want = 3 * shown
		}
		if len(r.result.Actions) != want || r.result.counts[plan.Create] != 3*shown {
			t.Errorf("json %v: %d rows of %d", json, len(r.result.Actions), r.result.counts[plan.Create])
		}
	}
}
