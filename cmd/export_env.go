package cmd

import (
	"context"
	"path"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportEnvOptions struct {
	exportOptions
	format export.Env
}

func newExportEnvCmd(a *app, run func(context.Context, *exportEnvOptions) error) *cobra.Command {
	o := &exportEnvOptions{}
	if run == nil {
		run = func(ctx context.Context, o *exportEnvOptions) error {
			if o.format.Prefix == "" {
				o.format.Prefix = export.EnvPrefix(path.Base(o.name))
			}
			return a.runFormat(ctx, &o.exportOptions, o.format, stdout)
		}
	}
	c := &cobra.Command{
		Use: "env NAME",
		Long: `export env writes the certificate with its chain, the key and the root as
variables for CI, to standard output unless --out names a file:
PREFIX_TLS_CRT_B64, PREFIX_TLS_KEY_B64 and PREFIX_CA_CRT_B64. The values are the
PEM files in base64, each on one line, so that GitLab can mask them and no line
break is lost. A job gets a file back with

  echo "$API_TLS_KEY_B64" | base64 -d > tls.key

The lines are a dotenv file, and may be appended to "$GITHUB_ENV"; GitHub masks
only what is a secret, or what ::add-mask:: names.`,
		Example: `  mtlsctl export env api.example.com --prefix API --out api.env
  mtlsctl export env api.example.com --prefix API | gh secret set --env-file -
  eval "$(mtlsctl export env api.example.com --prefix API --shell)"`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file`, or - for standard output (the default)")
	c.Flags().StringVar(&o.format.Prefix, "prefix", "", "the `word` that the variables begin with (default NAME, made to fit)")
	must(c.RegisterFlagCompletionFunc("prefix", cobra.NoFileCompletions))
	c.Flags().BoolVar(&o.format.Shell, "shell", false, `"export " in front of each line, for a shell to read`)
	return c
}
