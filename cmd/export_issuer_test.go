package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
	"github.com/mtlsctl/mtlsctl/pki"
)

func TestExportIssuerOptions(t *testing.T) {
	t.Parallel()
	newCmd := func(run func(context.Context, *exportIssuerOptions) error) *cobra.Command {
		return newExportIssuerCmd(&app{}, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[exportIssuerOptions]{
		"a name": {args: []string{"k8s"}, want: exportIssuerOptions{
			exportOptions: commonExport(exportOptions{name: "k8s"}), format: export.Issuer{Kind: "Issuer"},
		}},
		"everything": {
			args: []string{
				"k8s", "--with-ca-key", "--kind", "ClusterIssuer", "--name", "acme", "-n", "kube-system", "--secret-name", "acme-ca",
				"--crl-url", "http://a.test", "--crl-url", "http://b.test", "--aia-url", "http://c.test", "--ocsp-url", "http://d.test",
			},
			want: exportIssuerOptions{
				exportOptions: commonExport(exportOptions{name: "k8s", withCAKey: true}),
				format: export.Issuer{
					Kind: "ClusterIssuer", Name: "acme", Namespace: "kube-system", SecretName: "acme-ca",
					URLs: pki.URLs{CRL: []string{"http://a.test", "http://b.test"}, AIA: []string{"http://c.test"}, OCSP: []string{"http://d.test"}},
				},
			},
		},
		"no name": {err: "AUTHORITY is missing"},
		"a URL":   {args: []string{"k8s", "--crl-url", "x"}, err: `--crl-url "x": it must be a whole URL, as in http://pki.example.com/root.crl`},
	})
}
