package profiles

import (
	"fmt"
	"slices"
	"strings"
)

// NamesConfig says which names a certificate may have. Permit is read narrowly
// and Exclude widely: what is in doubt is refused.
type NamesConfig struct {
	// Permit: names of a kind that has patterns here must match one of them.
	// Names of a kind without any stay free.
	Permit NamePatterns `yaml:"permit"`
	// Exclude: no name may match one of these.
	Exclude NamePatterns `yaml:"exclude"`
}

// NamePatterns are patterns for the common name and for each kind of name, as
// [ParsePattern] reads them.
type NamePatterns struct {
	CommonName []string `yaml:"commonName"`
	DNS        []string `yaml:"dns"`
	IP         []string `yaml:"ip"`
	Email      []string `yaml:"email"`
	URI        []string `yaml:"uri"`
	SPIFFE     []string `yaml:"spiffe"`
}

// KindCommonName is the kind of the patterns for the common name, which is no
// kind of subject alternative name.
const KindCommonName SANKind = "commonName"

func (n NamePatterns) of(k SANKind) []string {
	switch k {
	case KindCommonName:
		return n.CommonName
	case KindDNS:
		return n.DNS
	case KindIP:
		return n.IP
	case KindEmail:
		return n.Email
	case KindURI:
		return n.URI
	}
	return n.SPIFFE
}

// patterns are those of a profile, by kind.
type patterns map[SANKind][]Pattern

// A NameError says which rule of a profile a name breaks.
type NameError struct {
	Rule     string // the field of the profile: "names.permit.dns"
	Kind     SANKind
	Value    string
	Patterns []Pattern // those it matches none of, or the one that it must not match
}

func (e *NameError) Error() string {
	what := e.Kind.String() + " name"
	if e.Kind == KindCommonName {
		what = "common name"
	}
	all := make([]string, len(e.Patterns))
	for i, p := range e.Patterns {
		all[i] = p.String()
	}
	if strings.HasPrefix(e.Rule, "names.exclude.") {
		return fmt.Sprintf("%s %q is excluded by %s: %s", what, e.Value, e.Rule, strings.Join(all, ", "))
	}
	return fmt.Sprintf("%s %q is not permitted by %s: %s", what, e.Value, e.Rule, strings.Join(all, ", "))
}

// CheckName holds a name, in the form in which it is certified, to the patterns
// for its kind. The error is a [*NameError].
func (p *Profile) CheckName(k SANKind, value string) error {
	if err := p.checkPermitted(k, k, value); err != nil {
		return err
	}
	return p.checkExcluded(k, k, value)
}

// CheckCommonName holds a common name to the patterns for it. One that looks like
// a host, to software that takes it for one, is held to those for DNS names, too;
// where common names have patterns that permit, only to those that exclude. The
// error is a [*NameError].
func (p *Profile) CheckCommonName(cn string, looksLikeHost bool) error {
	if err := p.CheckName(KindCommonName, cn); err != nil || !looksLikeHost {
		return err
	}
	if len(p.permit[KindCommonName]) == 0 {
		if err := p.checkPermitted(KindDNS, KindCommonName, cn); err != nil {
			return err
		}
	}
	return p.checkExcluded(KindDNS, KindCommonName, cn)
}

func (p *Profile) checkPermitted(rules, kind SANKind, value string) error {
	permit := p.permit[rules]
	if len(permit) == 0 || slices.ContainsFunc(permit, func(pattern Pattern) bool { return pattern.Covers(value) }) {
		return nil
	}
	return &NameError{"names.permit." + string(rules), kind, value, slices.Clone(permit)}
}

func (p *Profile) checkExcluded(rules, kind SANKind, value string) error {
	for _, pattern := range p.exclude[rules] {
		if pattern.Touches(value) {
			return &NameError{"names.exclude." + string(rules), kind, value, []Pattern{pattern}}
		}
	}
	return nil
}

// Permitted returns the patterns that names of a kind must match one of; empty if
// they are free.
func (p *Profile) Permitted(k SANKind) []Pattern { return slices.Clone(p.permit[k]) }

// Excluded returns the patterns that no name of a kind may match.
func (p *Profile) Excluded(k SANKind) []Pattern { return slices.Clone(p.exclude[k]) }

// PatternKinds returns the kinds that there may be patterns for.
func PatternKinds() []SANKind { return append([]SANKind{KindCommonName}, SANKinds()...) }

// parsePatterns reads the patterns of one half of [NamesConfig]. The error names
// the kind.
func parsePatterns(c NamePatterns, allowed []SANKind) (patterns, error) {
	all := patterns{}
	for _, k := range PatternKinds() {
		for _, s := range c.of(k) {
			if k != KindCommonName && !slices.Contains(allowed, k) {
				return nil, fmt.Errorf("%s is not among sans.allowed", string(k))
			}
			p, err := ParsePattern(k, s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", string(k), err)
			}
			all[k] = append(all[k], p)
		}
	}
	return all, nil
}
