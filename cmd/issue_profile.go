package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/internal/pkidir"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// warnShadowed lets a built-in profile say that a file of the same name is not
// what it goes by.
func (a *app) warnShadowed(c *cobra.Command, file string) {
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		a.warn("%s is not read: the profile %s is built in", file, c.Name())
		return run(c, args)
	}
}

// peekPKI finds the PKI directory before the flags are parsed, since the user's
// profiles in it are commands.
func (a *app) peekPKI(args []string) string {
	dir := a.env("MTLSCTL_PKI")
	if dir == "" {
		dir = defaultPKI
	}
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if v, ok := strings.CutPrefix(arg, "--pki="); ok {
			dir = v
		} else if arg == "--pki" && i+1 < len(args) {
			dir = args[i+1]
		}
	}
	return dir
}

// newOwnProfileCmd makes the subcommand of a profile file. A file that is wrong
// is a subcommand that says so, and does not keep the others from working.
func newOwnProfileCmd(a *app, dir, name string) *cobra.Command {
	p, file, err := readProfile(dir, name)
	if err == nil {
		return newIssueProfileCmd(a, p, nil)
	}
	return &cobra.Command{
		Use:                name + " NAME [SAN...]",
		Short:              "(unusable: see " + file + ")",
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(*cobra.Command, []string) error {
			return withHint(err, "mend or remove %s", file)
		},
	}
}

// readProfile reads one of the user's own profiles, and returns its file too.
func readProfile(dir, name string) (*profiles.Profile, string, error) {
	data, file, err := pkidir.ReadProfile(dir, name)
	if err != nil {
		return nil, file, err
	}
	p, err := profiles.Parse(name, data)
	return p, file, err
}

// findProfile returns the profile by which a certificate was issued.
func (a *app) findProfile(name string) (*profiles.Profile, error) {
	for _, p := range profiles.Builtin() {
		if p.Name() == name {
			return p, nil
		}
	}
	p, file, err := readProfile(a.pkiPath, name)
	if err != nil {
		return nil, withHint(fmt.Errorf("its profile %q: %w", name, err), "bring back or mend %s", file)
	}
	return p, nil
}

func sanFlagHelp(k profiles.SANKind) string {
	switch k {
	case profiles.KindDNS:
		return "DNS name, or *.name; repeatable"
	case profiles.KindIP:
		return "IP address; repeatable"
	case profiles.KindEmail:
		return "email address; repeatable"
	case profiles.KindSPIFFE:
		return "SPIFFE ID, as in spiffe://example.org/web; one"
	}
	return "URI; repeatable"
}

func profileShort(p *profiles.Profile) string {
	if p.Description() == "" {
		return "Issue a certificate by your profile " + p.Name()
	}
	return "Issue a certificate for " + p.Description()
}

func profileLong(p *profiles.Profile) string {
	key := p.Key()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", profileShort(p))
	fmt.Fprintf(&b, "Usages: %s.\n", strings.Join(profiles.FormatUsages(p.KeyUsageFor(key), p.ExtKeyUsage()), ", "))
	fmt.Fprintf(&b, "Key: %s. Lifetime: %s", string(key), profiles.FormatValidity(p.Validity()))
	if m := p.MaxValidity(); m != 0 {
		fmt.Fprintf(&b, ", at most %s", profiles.FormatValidity(m))
	}
	b.WriteString(".\n")
	if need := p.Required(); len(need) > 0 {
		fmt.Fprintf(&b, "It needs a name of kind %s.\n", profiles.JoinKinds(need, " or "))
	}
	for _, k := range profiles.PatternKinds() {
		writePatterns(&b, "Permitted", k, p.Permitted(k))
		writePatterns(&b, "Excluded", k, p.Excluded(k))
	}
	b.WriteString(`
NAME is what the certificate is called here, and its common name. If it is a
name that can be certified, it is, too. What follows are further names, each of
the kind it looks like: an address, an email, a URI, else a DNS name; dns:, ip:,
email:, uri: or spiffe: in front makes it plain.

With --csr the key is the asker's, and NAME only what the certificate is called
here. From the request come its key, and its common name and names as far as the
profile takes them; names given here are certified in place of the request's.`)
	return b.String()
}

// writePatterns writes the patterns that a profile has for names of a kind.
func writePatterns(b *strings.Builder, what string, k profiles.SANKind, patterns []profiles.Pattern) {
	for i, p := range patterns {
		if i == 0 {
			fmt.Fprintf(b, "%s names of kind %s:\n", what, string(k))
		}
		fmt.Fprintf(b, "    %s\n", p)
	}
}

func profileExample(p *profiles.Profile) string {
	switch p.Name() {
	case "client":
		return `  mtlsctl issue client alice@example.com
  mtlsctl issue client k8s-admin --org system:masters --key rsa-2048
  mtlsctl issue client laptop --spiffe spiffe://example.org/laptop
  mtlsctl issue client bob --csr bob.csr`
	case "spiffe":
		return `  mtlsctl issue spiffe web --spiffe spiffe://example.org/ns/prod/sa/web
  mtlsctl issue spiffe db spiffe://example.org/db db.internal --validity 24h`
	case "peer":
		return `  mtlsctl issue peer etcd-1.internal 10.0.0.11 localhost 127.0.0.1`
	}
	return fmt.Sprintf(`  mtlsctl issue %[1]s api.example.com 10.0.0.7
  mtlsctl issue %[1]s web --dns '*.example.com' --validity 90d
  mtlsctl issue %[1]s db db.internal --key rsa-2048 --encoding pkcs1 --out ./tls
  mtlsctl issue %[1]s api.example.com --dry-run`, p.Name())
}
