package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

type exportAPISIXOptions struct {
	exportOptions
	format export.APISIX
}

func newExportAPISIXCmd(a *app, run func(context.Context, *exportAPISIXOptions) error) *cobra.Command {
	o := &exportAPISIXOptions{}
	if run == nil {
		run = a.runExportAPISIX
	}
	c := &cobra.Command{
		Use: "apisix NAME",
		Long: `export apisix writes the JSON that APISIX's Admin API takes, to standard output
unless --out names a file, with the key: for /apisix/admin/ssls/ID, and with
--upstream for an upstream, whose scheme must be https or grpcs.

A server's certificate is found by the name that the client asks for, so its DNS
names become the snis; IP addresses cannot be among them. With --mtls, APISIX
lets in only clients with a certificate under the roots. A client's certificate
is one that APISIX itself shows to upstreams, which name it by the ID.

Older versions of APISIX refuse keys of under 128 characters, as those of
Ed25519 are.`,
		Example: `  mtlsctl export apisix api.example.com --mtls | curl -X PUT --data-binary @- \
      -H "X-API-KEY: $ADMIN_KEY" http://127.0.0.1:9180/apisix/admin/ssls/api
  mtlsctl export apisix api.example.com --mtls --depth 2 --skip-mtls '^/healthz$'
  mtlsctl export apisix apisix-client --as client --out client.json
  mtlsctl export apisix apisix-client --upstream | curl -X PATCH --data-binary @- \
      -H "X-API-KEY: $ADMIN_KEY" http://127.0.0.1:9180/apisix/admin/upstreams/1
  mtlsctl export apisix apisix-client --upstream --client-cert-id client`,
		Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			return run(c.Context(), o)
		},
	}
	a.addExportFlags(c, &o.exportOptions, "the `file`, or - for standard output (the default)")
	f := c.Flags()
	f.Var(parsed(&o.format.As, "role", func(s string) (export.Role, error) { return export.Role(s), nil }), "as",
		"what APISIX is with it: server or client (default by its usages)")
	f.BoolVar(&o.format.MTLS, "mtls", false, "let in only clients with a certificate under the roots")
	f.Var(parsed(&o.format.Depth, "number", parseDepth), "depth", "of --mtls, how many CAs may be above a client (default as above NAME)")
	f.StringArrayVar(&o.format.SkipMTLS, "skip-mtls", nil, "of --mtls, the `regex` of URIs that are open to all; repeatable")
	f.BoolVar(&o.format.Upstream, "upstream", false, "the JSON of an upstream that wants a client's certificate")
	f.StringVar(&o.format.ClientCertID, "client-cert-id", "", "of --upstream, the `ID` of an ssl in place of certificate and key")
	exclusive(c, "for", "upstream") // the lines for it are those of an ssl
	must(c.RegisterFlagCompletionFunc("as", words([]export.Role{export.Server, export.Client})))
	return c
}

// parseDepth takes no 0: no client's certificate has fewer than one CA above it.
func parseDepth(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, errors.New("write the number of CAs, as in 2")
	}
	return n, nil
}

func (a *app) runExportAPISIX(ctx context.Context, o *exportAPISIXOptions) error {
	err := a.runFormat(ctx, &o.exportOptions, o.format, stdout)
	switch {
	case errors.Is(err, export.ErrNoSNI):
		return withHint(fmt.Errorf("%q: %w", o.name, err), "issue it with a DNS name, by --dns; what APISIX shows to upstreams needs none: --as client")
	case errors.Is(err, export.ErrNotForClients), errors.Is(err, export.ErrNotForServers):
		return withHint(fmt.Errorf("%q: %w", o.name, err), "'mtlsctl issue peer NAME' makes one for both sides")
	case errors.Is(err, export.ErrIsAuthority):
		return withHint(fmt.Errorf("%q: %w", o.name, err), "'mtlsctl list' shows the certificates there are")
	}
	return err
}
