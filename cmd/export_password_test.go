package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/export"
)

func allTargets() string { return strings.Join(export.P12TargetNames(), ", ") }

// What is typed again elsewhere names the file by its whole path, and no flag that
// says where a secret is.
func TestPasswordFlagsAgain(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want []string }{
		{[]string{"--password-out", "f"}, []string{"--password-out", filepath.Join(here, "f")}},
		{[]string{"--password-env", "E"}, nil},
		{[]string{"--password-prompt"}, nil},
	} {
		c := &cobra.Command{Use: "x"}
		(&passwordFlags{}).addMade(c)
		if err := c.ParseFlags(tt.args); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, givenFlags(c)); diff != "" {
			t.Errorf("%v (-want +got)\n%s", tt.args, diff)
		}
	}
}
