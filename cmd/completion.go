package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/pkidir"
)

func newCompletionCmd(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write the completion script of a shell: bash, zsh, fish or powershell",
		Long: `completion writes a script that completes commands, flags, and the names of
certificates, authorities and profiles.`,
		Example: `  source <(mtlsctl completion bash)
  mtlsctl completion zsh > "${fpath[1]}/_mtlsctl"
  mtlsctl completion fish > ~/.config/fish/completions/mtlsctl.fish`,
		ValidArgs: shells,
		Args:      exactArgs("SHELL"),
		RunE: func(c *cobra.Command, args []string) error {
			switch root := c.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.Stdout)
			case "fish":
				return root.GenFishCompletion(a.Stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Stdout)
			}
			return usagef("", "unknown shell %q: there are bash, zsh, fish, powershell", args[0])
		},
	}
}

// completeAuthorities completes the names of authorities.
func (a *app) completeAuthorities(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.completeFrom((*pkidir.Dir).AuthorityNames), cobra.ShellCompDirectiveNoFileComp
}

// completeBundles completes the names of certificates and authorities.
func (a *app) completeBundles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeFrom((*pkidir.Dir).BundleNames, (*pkidir.Dir).AuthorityNames), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeFrom(lists ...func(*pkidir.Dir) ([]string, error)) []string {
	d, err := a.open()
	if err != nil {
		return nil
	}
	var all []string
	for _, list := range lists {
		names, listErr := list(d)
		err = errors.Join(err, listErr)
		all = append(all, names...)
	}
	if errors.Join(err, d.Close()) != nil {
		return nil
	}
	return all
}
