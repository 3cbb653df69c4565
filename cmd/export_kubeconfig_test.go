package cmd

import (
	"context"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func TestExportKubeconfigOptions(t *testing.T) {
	t.Parallel()
	const server = "https://10.0.0.1:6443"
	newCmd := func(asJSON bool) func(run func(context.Context, *exportKubeconfigOptions) error) *cobra.Command {
		return func(run func(context.Context, *exportKubeconfigOptions) error) *cobra.Command {
			return newExportKubeconfigCmd(&app{json: asJSON}, run)
		}
	}
	common := func(o exportOptions) exportOptions {
		o.name = "alice"
		return commonExport(o)
	}
	checkOptions(t, newCmd(false), map[string]optionsTest[exportKubeconfigOptions]{
		"a server": {
			args: []string{"alice", "--server", server},
			want: exportKubeconfigOptions{exportOptions: common(exportOptions{}), format: export.Kubeconfig{Server: server}},
		},
		"everything": {
			args: []string{"alice", "--server", server, "--cluster", "c", "--user", "u", "--context", "x", "-n", "ns", "--ca", "ca.crt", "--by-path", "--merge", "config", "--set-current", "--force"},
			want: exportKubeconfigOptions{
				exportOptions: common(exportOptions{force: true}),
				format:        export.Kubeconfig{Server: server, Cluster: "c", User: "u", Context: "x", Namespace: "ns"},
				ca:            "ca.crt", byPath: true, merge: "config", setCurrent: true,
			},
		},
		"a cluster that is there": {
			args: []string{"alice", "--merge", "config"},
			want: exportKubeconfigOptions{exportOptions: common(exportOptions{}), merge: "config"},
		},
		"no name":             {args: []string{"--server", server}, err: "NAME is missing"},
		"no server":           {args: []string{"alice"}, err: "--server is missing: the https URL of the API server"},
		"nothing":             {args: []string{"alice", "--server", ""}, err: `--server "": it is empty`},
		"no user":             {args: []string{"alice", "--server", server, "--user="}, err: `--user "": it is empty`},
		"no CA":               {args: []string{"alice", "--server", server, "--ca="}, err: `--ca "": it is empty`},
		"a home for bash":     {args: []string{"alice", "--merge=~/.kube/config"}, err: `--merge "~/.kube/config": the shell writes ~ out after a blank only, not after '='`},
		"merged to a stream":  {args: []string{"alice", "--merge", "-"}, err: `--merge "-": name a file`},
		"out and merge":       {args: []string{"alice", "--merge", "a", "--out", "b"}, err: "--out and --merge exclude each other"},
		"current in its file": {args: []string{"alice", "--server", server, "--set-current"}, err: "--set-current goes with --merge"},
	})
	checkOptions(t, newCmd(true), map[string]optionsTest[exportKubeconfigOptions]{
		"JSON to a stream": {
			args: []string{"alice", "--server", server, "--out", "-"},
			want: exportKubeconfigOptions{exportOptions: common(exportOptions{out: "-"}), format: export.Kubeconfig{Server: server, JSON: true}},
		},
		"JSON beside a file": {
			args: []string{"alice", "--server", server},
			want: exportKubeconfigOptions{exportOptions: common(exportOptions{}), format: export.Kubeconfig{Server: server}},
		},
	})
}
