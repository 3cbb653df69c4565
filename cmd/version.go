package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionJSON is the result of version --json.
type versionJSON struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the revision
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupLook,
		Short:   "Say which version this is",
		Long:    `version says which version of mtlsctl this is, and what it was built from.`,
		Example: `  mtlsctl version
  mtlsctl version --json`,
		Args: exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			if a.json {
				return a.writeJSON(v)
			}
			rev := ""
			if v.Revision != "" {
				rev = " " + v.Revision[:min(12, len(v.Revision))]
				if v.Modified {
					rev += " (modified)"
				}
			}
			_, err := fmt.Fprintf(a.Stdout, "mtlsctl %s%s %s %s\n", v.Version, rev, v.Go, v.Platform)
			return err
		},
	}
}

// buildVersion reads what the Go tool wrote into the binary.
func buildVersion() versionJSON {
	v := versionJSON{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
