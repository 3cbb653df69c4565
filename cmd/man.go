package cmd

import (
	"embed"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

// manPages are made by the tests, with `make docs`: the package that renders
// them would cost every start half a millisecond.
//
//go:embed man/*.1
var manPages embed.FS

func newManCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the manual pages, one a command",
		Long: `man writes a manual page for each command to a directory, which is made if
there is none. Pages that are there already are replaced.`,
		Example: `  mtlsctl man ~/.local/share/man/man1`,
		Args:    exactArgs("DIRECTORY"),
		RunE: func(_ *cobra.Command, args []string) error {
			names, err := fs.Glob(manPages, "man/*.1")
			if err != nil {
				return err
			}
			var files []export.File
			for _, n := range names {
				data, err := manPages.ReadFile(n)
				if err != nil {
					return err
				}
				files = append(files, export.File{Name: n[len("man/"):], Data: data})
			}
			if err := writeFiles(args[0], files, true); err != nil {
				return err
			}
			a.note("%s written to %s", plural(len(files), "page"), args[0])
			return nil
		},
	}
}
