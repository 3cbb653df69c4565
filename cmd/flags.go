package cmd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// A value is a flag with a type of its own. It may be given again, and the last
// one counts, unless set adds to a list.
type value struct {
	set   func(string) error
	kind  string // shown in the help text
	text  func() string
	given []string
}

func (v *value) Type() string    { return v.kind }
func (v *value) words() []string { return v.given }

func (v *value) Set(s string) error {
	err := v.set(s)
	if err == nil {
		v.given = append(v.given, s)
	}
	return err
}

func (v *value) String() string {
	if v.text == nil {
		return ""
	}
	return v.text()
}

// parsed is a flag whose value parse checks.
func parsed[T any](to *T, kind string, parse func(string) (T, error)) pflag.Value {
	return &value{kind: kind, set: func(s string) (err error) {
		*to, err = parse(s)
		return err
	}}
}

// collected is a flag that may be repeated.
func collected[T any](to *[]T, kind string, parse func(string) (T, error)) pflag.Value {
	return &value{kind: kind, set: func(s string) error {
		v, err := parse(s)
		if err == nil {
			*to = append(*to, v)
		}
		return err
	}}
}

// A listValue is a flag of several values with commas between them, that may
// be repeated.
type listValue[T any] struct {
	to    *[]T
	parse func(string) (T, error)
	given []string
}

func (v *listValue[T]) Type() string   { return "list" }
func (v *listValue[T]) String() string { return "" }

func (v *listValue[T]) words() []string { return v.given }

func (v *listValue[T]) Set(s string) error {
	for _, word := range strings.Split(s, ",") {
		one, err := v.parse(strings.TrimSpace(word))
		if err != nil {
			return err
		}
		*v.to = append(*v.to, one)
	}
	v.given = append(v.given, s)
	return nil
}

// givenFlags returns the flags of a command that were given, as they would be
// typed again. The global ones are left out, and those that say where a secret
// is or where to write.
func givenFlags(c *cobra.Command) (given []string) {
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		name, _, secret := strings.Cut(f.Name, "-")
		if !f.Changed || f.Name == "out" || f.Name == "force" || secret && (name == "passphrase" || name == "password") && f.Name != "password-out" {
			return
		}
		words := []string{f.Value.String()}
		switch v := f.Value.(type) {
		case interface{ words() []string }:
			words = v.words()
		case pflag.SliceValue:
			words = v.GetSlice()
		}
		for _, w := range words {
			switch {
			case f.Value.Type() == "bool" && w == "true":
				given = append(given, "--"+f.Name)
			case f.Value.Type() == "bool":
				given = append(given, "--"+f.Name+"="+w)
			default:
				given = append(given, "--"+f.Name, w)
			}
		}
	})
	return given
}

// words is a completion of fixed words.
func words[T ~string](all []T) cobra.CompletionFunc {
	list := make([]string, len(all))
	for i, w := range all {
		list[i] = string(w)
	}
	return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
}

func addKeyFlag(c *cobra.Command, to *profiles.KeyType) {
	kinds := make([]string, 0, len(profiles.KeyTypes()))
	for _, k := range profiles.KeyTypes() {
		kinds = append(kinds, string(k))
	}
	c.Flags().Var(parsed(to, "type", profiles.ParseKeyType), "key", "type of the key: "+strings.Join(kinds, ", "))
	must(c.RegisterFlagCompletionFunc("key", words(profiles.KeyTypes())))
}

func addSubjectFlags(c *cobra.Command, s *pki.Subject) {
	f := c.Flags()
	list := func(to *[]string, flag, what string, one func(v string) pki.Subject) {
		f.Var(collected(to, "text", func(v string) (string, error) { return v, one(v).Check() }), flag, what)
	}
	f.Var(parsed(&s.CommonName, "text", func(v string) (string, error) {
		if v == "" {
			return v, errors.New("it is empty")
		}
		return v, pki.Subject{CommonName: v}.Check()
	}), "cn", "common name")
	list(&s.Organizations, "org", "organization (O); repeatable", func(v string) pki.Subject {
		return pki.Subject{Organizations: []string{v}}
	})
	list(&s.OrganizationalUnits, "ou", "organizational unit (OU); repeatable", func(v string) pki.Subject {
		return pki.Subject{OrganizationalUnits: []string{v}}
	})
	list(&s.Countries, "country", "country (C), two letters", func(v string) pki.Subject {
		return pki.Subject{Countries: []string{v}}
	})
	list(&s.Provinces, "province", "state or province (ST)", func(v string) pki.Subject {
		return pki.Subject{Provinces: []string{v}}
	})
	list(&s.Localities, "locality", "town (L)", func(v string) pki.Subject {
		return pki.Subject{Localities: []string{v}}
	})
}

// timeFormat is how flags and hints write a moment.
const timeFormat = time.RFC3339

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{timeFormat, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("write a date as 2027-01-31, or a moment as 2027-01-31T12:00:00Z")
}

func addLifetimeFlags(c *cobra.Command, l *pki.Lifetime, def string) {
	f := c.Flags()
	f.Var(parsed(&l.Validity, "duration", profiles.ParseValidity), "validity",
		"how long it lasts: 90d, 6w, 1y, 36h (default "+def+")")
	f.Var(parsed(&l.NotBefore, "time", parseTime), "not-before", "when it begins (default one minute ago)")
	f.Var(parsed(&l.NotAfter, "time", parseTime), "not-after", "when it ends, in place of --validity")
	exclusive(c, "validity", "not-after")
}

// exclusive lets only one of several flags be given.
func exclusive(c *cobra.Command, names ...string) {
	c.MarkFlagsMutuallyExclusive(names...) // for completion; its error would be cobra's
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		var given []string
		for _, n := range names {
			if c.Flags().Changed(n) {
				given = append(given, "--"+n)
			}
		}
		if len(given) > 1 {
			return usagef("give one of them", "%s exclude each other", strings.Join(given, " and "))
		}
		if before == nil {
			return nil
		}
		return before(c, args)
	}
}

// exactArgs, minArgs and atMostOneArg are cobra's, with usage errors that name
// what is missing.
func exactArgs(what ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(what) {
			return usagef("", "%s is missing", what[len(args)])
		}
		if len(args) > len(what) {
			return usagef("", "%q is one argument too many", args[len(what)])
		}
		return nil
	}
}

func minArgs(what ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(what) {
			return usagef("", "%s is missing", what[len(args)])
		}
		return nil
	}
}

func atMostOneArg(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("", "%q is one argument too many", args[1])
	}
	return nil
}

// parseName reads the NAME of a certificate or authority.
func parseName(s string) (pki.Name, error) {
	n, err := pki.ParseName(s)
	if err == nil && n.Namespace() != "" {
		err = &pki.NameError{Value: s, Problem: "names with a namespace are those of manifests"}
		return n, &usageError{err, "leave the slash out; 'mtlsctl apply' makes what a manifest names"}
	}
	if err == nil {
		return n, nil
	}
	hint := "use letters, digits and . _ @ + -; what a certificate is certified for follows its name, or comes with --cn"
	if strings.ContainsAny(s, "/\\") || strings.Contains(s, "..") || strings.HasPrefix(s, "-") || strings.HasPrefix(s, ".") {
		hint = "a name is also that of a folder: use letters, digits and . _ @ + -"
	}
	return n, &usageError{err, hint}
}

func plural(n int, one string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
