package plan

import (
	"errors"
	"fmt"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
)

// A StandIn names an authority of the PKI directory that signs in place of an
// issuer.
type StandIn struct {
	Kind      string // empty: any
	Namespace string // empty: any
	Name      string
	Authority string // may be a Certificate of the input, NAMESPACE/NAME
}

// ParseStandIn reads [KIND/][NAMESPACE/]NAME=AUTHORITY. What stands alone before
// the name is a kind if it begins with a capital, since a namespace cannot.
func ParseStandIn(s string) (StandIn, error) {
	issuer, authority, ok := strings.Cut(s, "=")
	if !ok {
		return StandIn{}, errors.New("the authority is missing: write [KIND/][NAMESPACE/]NAME=AUTHORITY")
	}
	si := StandIn{Authority: authority}
	parts := strings.Split(issuer, "/")
	for _, part := range append(parts, strings.Split(authority, "/")...) {
		if part == "" {
			return StandIn{}, errors.New("a part of it is empty: write [KIND/][NAMESPACE/]NAME=AUTHORITY")
		}
	}
	switch si.Name = parts[len(parts)-1]; {
	case len(parts) == 2 && isKind(parts[0]):
		si.Kind = parts[0]
	case len(parts) == 2:
		si.Namespace = parts[0]
	case len(parts) == 3 && isKind(parts[0]):
		si.Kind, si.Namespace = parts[0], parts[1]
	case len(parts) == 3:
		return StandIn{}, fmt.Errorf("%s is no kind of issuer: kinds begin with a capital, as in Issuer", parts[0])
	case len(parts) > 3:
		return StandIn{}, errors.New("there are too many parts: write [KIND/][NAMESPACE/]NAME=AUTHORITY")
	}
	if si.Kind == cmapi.ClusterIssuerKind && si.Namespace != "" {
		return StandIn{}, fmt.Errorf("a ClusterIssuer has no namespace: write ClusterIssuer/%s=%s", si.Name, authority)
	}
	return si, nil
}

func isKind(s string) bool { return s[0] >= 'A' && s[0] <= 'Z' }

// String returns s as ParseStandIn reads it.
func (s StandIn) String() string { return s.pattern() + "=" + s.Authority }

func (s StandIn) pattern() string {
	t := s.Name
	if s.Namespace != "" {
		t = s.Namespace + "/" + t
	}
	if s.Kind != "" {
		t = s.Kind + "/" + t
	}
	return t
}

// fit is how closely s names an issuer: 0 if it does not, else the more parts,
// the closer.
func (s StandIn) fit(id issuerID) int {
	if s.Name != id.Name || s.Kind != "" && s.Kind != id.Kind || s.Namespace != "" && s.Namespace != id.Namespace {
		return 0
	}
	fit := 1
	if s.Kind != "" {
		fit++
	}
	if s.Namespace != "" {
		fit += 2
	}
	return fit
}

// A NoAuthorityError says that there is no such authority to stand in, neither in
// the PKI directory nor in the input.
type NoAuthorityError struct{ StandIn StandIn }

func (e *NoAuthorityError) Error() string {
	return fmt.Sprintf("--issuer %s: there is no authority %q", e.StandIn, e.StandIn.Authority)
}

// A TwoStandInsError says that two authorities are to stand in for the same.
type TwoStandInsError struct{ First, Second StandIn }

func (e *TwoStandInsError) Error() string {
	return fmt.Sprintf("--issuer %s and --issuer %s: which of them stands in?", e.First, e.Second)
}

// checkStandIns looks for what cannot be meant.
func (p *planner) checkStandIns() error {
	seen := make(map[string]StandIn, len(p.in.StandIns))
	for _, s := range p.in.StandIns {
		if first, ok := seen[s.pattern()]; ok && first.Authority != s.Authority {
			return &TwoStandInsError{first, s}
		}
		seen[s.pattern()] = s
		if !p.in.Authorities(s.Authority) && p.makesAuthority(s.Authority) == none {
			return &NoAuthorityError{StandIn: s}
		}
	}
	return nil
}

// makesAuthority returns the Certificate of the input that will be the authority of
// that name; none if there is none.
func (p *planner) makesAuthority(name string) int32 {
	ns, rest, _ := strings.Cut(name, "/")
	if i, ok := p.names[manifest.Key{Namespace: ns, Name: rest}]; ok && p.set.Certificates[i].Spec.IsCA {
		return i
	}
	return none
}

// standInFor returns the closest stand-in for an issuer; none if there is none.
func (p *planner) standInFor(id issuerID) int {
	best, at := 0, none
	for i, s := range p.in.StandIns {
		if fit := s.fit(id); fit > best {
			best, at = fit, i
		}
	}
	return at
}

func (p *planner) warnStandIns() {
	for i, s := range p.in.StandIns {
		if !p.standIn[i] {
			p.warn(manifest.Origin{File: "--issuer " + s.String()}, "", "it stands in for nothing: no issuerRef names "+s.pattern())
		}
	}
}
