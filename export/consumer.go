package export

import (
	"crypto/x509"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// A Shape is how a consumer wants what a format writes.
type Shape struct {
	// Layout names the files, or the keys of the Secret; empty: the format's own.
	Layout Layout
	// CRLs are what the layout's part of that name holds, in PEM; empty: none.
	CRLs []byte
	// Object is the name of the Secret or ConfigMap if none is asked for.
	Object string
}

// layout returns the shape's, or the format's own.
func (s Shape) layout(own Layout) Layout {
	if len(s.Layout) > 0 {
		return s.Layout
	}
	return own
}

// HoldsCRLs reports whether there is a place for CRLs.
func (s Shape) HoldsCRLs() bool { return len(s.Layout) == 0 || s.Layout.Has(CRLs) }

// Shaped is a format that consumers want in different layouts.
type Shaped interface {
	Format
	// WithShape returns the format with a shape; its other options stay.
	WithShape(s Shape) Format
}

// A Role is what a certificate is for, as far as consumers tell it apart.
type Role string

// The roles.
const (
	Server    Role = "server"    // extended key usage serverAuth
	Client    Role = "client"    // clientAuth
	Peer      Role = "peer"      // both, or no extended key usage at all (RFC 5280 4.2.1.12)
	Authority Role = "authority" // a CA
	Neither   Role = "other"     // none of these
)

// RoleOf returns the role of a certificate.
func RoleOf(c *x509.Certificate) Role {
	has := func(u x509.ExtKeyUsage) bool {
		return slices.Contains(c.ExtKeyUsage, u) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) ||
			len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0
	}
	switch server, client := has(x509.ExtKeyUsageServerAuth), has(x509.ExtKeyUsageClientAuth); {
	case c.IsCA:
		return Authority
	case server && client:
		return Peer
	case server:
		return Server
	case client:
		return Client
	}
	return Neither
}

// A Consumer is a program that certificates go to.
type Consumer struct {
	Name  string // as in `--for`
	Title string // as its makers write it

	shapes []consumerShape // the first of a format that takes the role counts
	rules  []rule
	config func(p *Placement) string // lines of its configuration; nil: there is nothing to say
	// trust is the way to have it trust an authority that it takes in no format;
	// "*" in it is the authority's name. Empty: there is none.
	trust string
	// ownUser: it reads the key as a user of its own, and not as root.
	ownUser bool
	// peers: its servers are clients of each other, too.
	peers bool
	// compares: its rules hold a certificate against the servers' of the same CA.
	compares bool
}

// A consumerShape is one format that a consumer takes, for certificates of some
// roles.
type consumerShape struct {
	format string
	roles  string // separated by spaces; a peer passes for a server and a client; empty: all
	layout Layout // "*" in the names of items is the certificate's name
	// layoutOf is in place of layout where the names depend on what is certified.
	layoutOf func(f *Fit) Layout
	object   string // likewise; empty: the certificate's name
}

func (s *consumerShape) takes(r Role) bool {
	roles := strings.Fields(s.roles)
	return len(roles) == 0 || slices.Contains(roles, string(r)) ||
		r == Peer && (slices.Contains(roles, string(Server)) || slices.Contains(roles, string(Client)))
}

// A rule is what a consumer refuses, with the way out.
type rule struct {
	formats string // separated by spaces; empty: all
	roles   string // separated by spaces; empty: all
	breach  func(f *Fit) (problem, remedy string)
}

// FindConsumer returns the consumer called name, or an [*OptionError] that lists
// those there are.
func FindConsumer(name string) (*Consumer, error) {
	var names []string
	for i := range consumers {
		if consumers[i].Name == strings.ToLower(name) {
			return &consumers[i], nil
		}
		names = append(names, consumers[i].Name)
	}
	return nil, &OptionError{"for", name, "not known; there are " + strings.Join(names, ", "), ""}
}

// Consumers returns all consumers, in the order in which lists show them.
func Consumers() (all []*Consumer) {
	for i := range consumers {
		all = append(all, &consumers[i])
	}
	return all
}

// ConsumersOf returns the names of the consumers that take a format.
func ConsumersOf(format string) (names []string) {
	for _, c := range Consumers() {
		if slices.Contains(c.Formats(), format) {
			names = append(names, c.Name)
		}
	}
	return names
}

// Formats returns the names of the formats that the consumer takes, its own
// first.
func (c *Consumer) Formats() (names []string) {
	for _, s := range c.shapes {
		if !slices.Contains(names, s.format) {
			names = append(names, s.format)
		}
	}
	return names
}

// Compares reports whether [Fit.Others] matter: the certificates of servers that
// the same authority signed.
func (c *Consumer) Compares() bool { return c.compares }

// FormatFor returns the format that the consumer takes certificates of a role in,
// or its own if it takes none of that role.
func (c *Consumer) FormatFor(r Role) string {
	for _, s := range c.shapes {
		if s.takes(r) {
			return s.format
		}
	}
	return c.shapes[0].format
}

// Fit is what is measured against a consumer.
type Fit struct {
	Format string // as in `export FORMAT`
	Name   string // of the certificate
	Bundle *pki.Bundle
	// Encoding is how the key will be written, where the format lets one choose.
	Encoding pki.KeyEncoding
	// Others are certificates that the consumer may meet beside this one; see
	// [Consumer.Compares].
	Others []*x509.Certificate
}

// Role returns the certificate's.
func (f *Fit) Role() Role { return RoleOf(f.Bundle.Leaf()) }

// KeyType returns the type of the certificate's key; empty for one that is not
// known.
func (f *Fit) KeyType() profiles.KeyType {
	t, err := pki.KeyTypeOf(f.Bundle.Leaf().PublicKey)
	if err != nil {
		return ""
	}
	return t
}

// A FitError says why a consumer cannot use a certificate, or not in this form.
type FitError struct {
	Consumer string // its title
	Problem  string
	Remedy   string // what to do about it; names a flag or a command
}

func (e *FitError) Error() string { return e.Consumer + " " + e.Problem }

// Fit measures what is to be exported against the consumer, and returns the
// shape that it wants. A consumer that cannot use it is a [*FitError].
func (c *Consumer) Fit(f *Fit) (Shape, error) {
	formats := c.Formats()
	if !slices.Contains(formats, f.Format) {
		return Shape{}, &FitError{c.Title, fmt.Sprintf("takes %s, not %s", strings.Join(formats, ", "), f.Format),
			c.exportCommand(f)}
	}
	var shape *consumerShape
	var roles []string
	for i := range c.shapes {
		s := &c.shapes[i]
		if s.format != f.Format {
			continue
		}
		if s.takes(f.Role()) {
			shape = s
			break
		}
		roles = append(roles, strings.Fields(s.roles)...)
	}
	if shape == nil {
		return Shape{}, c.refuseRole(f, roles)
	}
	for _, r := range c.rules {
		if !among(r.formats, f.Format) || !among(r.roles, string(f.Role())) {
			continue
		}
		if problem, remedy := r.breach(f); problem != "" {
			return Shape{}, &FitError{c.Title, problem, remedy}
		}
	}
	layout := shape.layout
	if shape.layoutOf != nil {
		layout = shape.layoutOf(f)
	}
	name := path.Base(f.Name)
	return Shape{Layout: layout.named(name), Object: strings.ReplaceAll(shape.object, "*", SecretName(name))}, nil
}

// among reports whether a word is in a list that is separated by spaces; all are
// in the empty list.
func among(list, word string) bool {
	return list == "" || slices.Contains(strings.Fields(list), word)
}

// refuseRole says that the consumer has no use for certificates of a role.
func (c *Consumer) refuseRole(f *Fit, roles []string) error {
	titles := map[string]string{
		string(Server): "a server's certificate", string(Client): "a client's certificate",
		string(Peer): "a certificate for servers and clients at once", string(Authority): "an authority",
		string(Neither): "a certificate for neither servers nor clients",
	}
	var wants []string
	for _, r := range roles {
		wants = append(wants, titles[r])
	}
	e := &FitError{Consumer: c.Title, Problem: fmt.Sprintf("wants %s here, and %s is %s",
		strings.Join(wants, " or "), f.Name, titles[string(f.Role())])}
	switch role := roles[0]; {
	case f.Role() == Authority && c.trust != "":
		e.Remedy = strings.ReplaceAll(c.trust, "*", f.Name)
	case f.Role() == Authority && c.FormatFor(Authority) != f.Format && c.takes(Authority):
		e.Remedy = c.exportCommand(f)
	case role == string(Authority):
		e.Remedy = "name an authority; 'mtlsctl tree' shows them"
	case c.peers:
		e.Remedy = peerRemedy
	default:
		e.Remedy = fmt.Sprintf("'mtlsctl issue %s NAME' makes one", role)
	}
	return e
}

// takes reports whether there is a format for certificates of a role.
func (c *Consumer) takes(r Role) bool {
	return slices.ContainsFunc(c.shapes, func(s consumerShape) bool { return s.takes(r) })
}

// exportCommand exports a certificate in the format that is right for it.
func (c *Consumer) exportCommand(f *Fit) string {
	return fmt.Sprintf("mtlsctl export %s %s --for %s", c.FormatFor(f.Role()), f.Name, c.Name)
}

// A Placement is where an export went, for the lines of configuration that use
// it.
type Placement struct {
	Fit
	Files     []string // paths, as the consumer will find them
	Object    string   // name of the Secret or ConfigMap
	Namespace string   // its; may be empty
	CRL       bool     // there is a CRL in it
	// StoreType is that of a truststore; empty: [StoreP12].
	StoreType StoreType
}

// Path returns the path of the file of that name, or else of the first whose name
// ends so; what is not there keeps its name.
func (p *Placement) Path(name string) string {
	found := name
	for _, f := range slices.Backward(p.Files) {
		switch base := f[strings.LastIndexAny(f, `/\`)+1:]; {
		case base == name:
			return f
		case strings.HasSuffix(base, name):
			found = f
		}
	}
	return found
}

// Depth is how many CAs there are above a certificate of the same issuer, the
// root among them: what nginx, APISIX and others call the verification depth. Of
// a root it cannot be known, and one intermediate is allowed for.
func (p *Placement) Depth() int {
	if p.Role() == Authority {
		return len(p.Bundle.Chain) + 1
	}
	return max(len(p.Bundle.Chain), 1)
}

// HasConfig reports whether there are such lines at all.
func (c *Consumer) HasConfig() bool { return c.config != nil }

// Config returns the lines of the consumer's configuration that use an export,
// with a newline at the end; empty if there is nothing to say.
func (c *Consumer) Config(p *Placement) string {
	if c.config == nil {
		return ""
	}
	if slices.ContainsFunc(p.Files, isUnspeakable) {
		return "# No configuration can name these files: there are control characters in their path.\n"
	}
	text := strings.TrimSpace(c.config(p))
	if text == "" {
		return ""
	}
	if role := p.Role(); c.ownUser && (role == Server || role == Peer) {
		text += "\n# The key must belong to the user that " + c.Title + " runs as."
	}
	return text + "\n"
}
