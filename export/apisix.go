package export

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/mtlsctl/mtlsctl/pki"
)

// APISIX writes the document that APISIX's Admin API takes for a certificate: for
// PUT /apisix/admin/ssls/ID, or with Upstream for PATCH /apisix/admin/upstreams/ID.
// The file is called after the certificate.
//
// The schema is that of gh/apache/apisix, apisix/schema_def.lua. What it refuses
// is refused here: a server's certificate without a DNS name ([ErrNoSNI]), and
// texts that are too short or too long. There has to be a key ([ErrNoKey]), except
// for an upstream that names an ssl, and for MTLS a root ([ErrNoRoots]). A CA's
// certificate is refused ([ErrIsAuthority]), and one that the other side would
// refuse in that role ([ErrNotForClients], [ErrNotForServers]). Options that do not go together are
// an [*OptionError].
type APISIX struct {
	// As is what APISIX is with it, [Server] or [Client]; empty: what the
	// certificate is for, and a server if it is for both.
	As Role
	// MTLS lets in only clients that have a certificate under the roots.
	MTLS bool
	// Depth is how many CAs there may be above a client's certificate; 0: as many
	// as above this one.
	Depth int
	// SkipMTLS are regular expressions (PCRE) of the URIs that need no client
	// certificate all the same.
	SkipMTLS []string
	// Upstream writes the part of an upstream with which APISIX shows the
	// certificate to it.
	Upstream bool
	// ClientCertID is the id of an ssl of type client that an upstream names in
	// place of certificate and key.
	ClientCertID string
}

// Reasons why a certificate does not fit [APISIX].
var (
	ErrNoSNI         = errors.New("the certificate has no DNS name, and APISIX finds a server's certificate by the name that the client asks for, which is no IP address")
	ErrNotForServers = errors.New("the certificate is not for servers")
	ErrIsAuthority   = errors.New("that is the certificate of an authority, and one of a server or a client is wanted")
)

// apisixSSL is an ssl of the schema.
type apisixSSL struct {
	Type   Role          `json:"type"`
	SNIs   []string      `json:"snis,omitempty"`
	Cert   string        `json:"cert"`
	Key    string        `json:"key"`
	Client *apisixClient `json:"client,omitempty"`
}

// apisixClient is how an ssl verifies clients.
type apisixClient struct {
	CA    string   `json:"ca"`
	Depth int      `json:"depth"`
	Skip  []string `json:"skip_mtls_uri_regex,omitempty"`
}

// apisixUpstream is the part of an upstream that is about certificates.
type apisixUpstream struct {
	TLS struct {
		ClientCert   string `json:"client_cert,omitempty"`
		ClientKey    string `json:"client_key,omitempty"`
		ClientCertID string `json:"client_cert_id,omitempty"`
	} `json:"tls"`
}

// Export implements [Format].
func (f APISIX) Export(b *pki.Bundle) ([]File, error) {
	if len(b.Chain) == 0 {
		return nil, ErrNoCertificate
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	name := SecretName(leafName(b)) + ".json"
	if f.ClientCertID != "" {
		var u apisixUpstream
		u.TLS.ClientCertID = f.ClientCertID
		data, err := marshalObject(u, true)
		return []File{{Name: name, Data: data}}, err
	}
	switch {
	case b.Leaf().IsCA:
		return nil, ErrIsAuthority
	case b.Key == nil:
		return nil, fmt.Errorf("APISIX needs certificate and key: %w", ErrNoKey)
	}
	key, err := b.KeyPEM()
	if err != nil {
		return nil, err
	}
	o := apisixSSL{Type: f.As, Cert: string(b.ChainPEM()), Key: string(key)}
	if o.Type == "" {
		o.Type = Server
		if RoleOf(b.Leaf()) == Client || f.Upstream {
			o.Type = Client
		}
	}
	if err := fitsRole(b.Leaf(), o.Type); err != nil {
		return nil, err
	}
	if err := apisixSize(o.Cert, 128, "the certificate with its chain", "spread its names over several certificates"); err != nil {
		return nil, err
	}
	if err := apisixSize(o.Key, 64, "the key", "use a smaller one"); err != nil {
		return nil, err
	}
	if f.Upstream {
		var u apisixUpstream
		u.TLS.ClientCert, u.TLS.ClientKey = o.Cert, o.Key
		data, err := marshalObject(u, true)
		return []File{{name, data, true}}, err
	}
	if o.Type == Server {
		if o.SNIs = b.Leaf().DNSNames; len(o.SNIs) == 0 {
			return nil, ErrNoSNI
		}
	}
	if o.Client, err = f.client(b, o.Type); err != nil {
		return nil, err
	}
	data, err := marshalObject(o, true)
	return []File{{name, data, true}}, err
}

// fitsRole refuses a certificate whose extended key usages the other side of the
// connection would refuse (RFC 5280 section 4.2.1.12).
func fitsRole(c *x509.Certificate, as Role) error {
	switch r := RoleOf(c); {
	case r == Peer || r == as:
		return nil
	case as == Client:
		return fmt.Errorf("%w: its extended key usages lack clientAuth", ErrNotForClients)
	}
	return fmt.Errorf("%w: its extended key usages lack serverAuth", ErrNotForServers)
}

// check holds the options to what goes together.
func (f APISIX) check() error {
	switch {
	case !slices.Contains([]Role{"", Server, Client}, f.As):
		return &OptionError{"as", string(f.As), "it is server or client", ""}
	case f.Upstream && (f.MTLS || f.As == Server):
		return &OptionError{"upstream", "", "to its upstream, APISIX is the client", ""}
	case f.ClientCertID != "" && !f.Upstream:
		return &OptionError{"client-cert-id", f.ClientCertID, "an upstream names it, so it goes with --upstream", ""}
	case len(f.ClientCertID) > 64 || f.ClientCertID != "" && !fitsID(f.ClientCertID):
		return &OptionError{"client-cert-id", f.ClientCertID, "allowed are 64 letters, digits, '-', '_' and '.'", ""}
	case f.MTLS && f.As == Client:
		return &OptionError{"mtls", "", "clients are verified by a server, and this is to be a client", ""}
	case f.Depth < 0:
		return &OptionError{"depth", fmt.Sprint(f.Depth), "it is the number of CAs above a client's certificate", "2"}
	case f.Depth > 0 && !f.MTLS:
		return &OptionError{"depth", fmt.Sprint(f.Depth), "it is about the certificates of clients, so it goes with --mtls", ""}
	case len(f.SkipMTLS) > 0 && !f.MTLS:
		return &OptionError{"skip-mtls", f.SkipMTLS[0], "it makes an exception to --mtls, which is not there", ""}
	}
	for i, s := range f.SkipMTLS {
		if s == "" || slices.Contains(f.SkipMTLS[:i], s) {
			return &OptionError{"skip-mtls", s, "each is another regular expression, as in ^/healthz$", ""}
		}
	}
	return nil
}

// fitsID reports whether s has only characters of ids.
func fitsID(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// client returns how clients are verified; nil if they are not.
func (f APISIX) client(b *pki.Bundle, as Role) (*apisixClient, error) {
	switch {
	case !f.MTLS:
		return nil, nil
	case as != Server:
		return nil, &OptionError{"mtls", "", "clients are verified by a server, and the certificate is for clients alone", ""}
	case len(b.Roots) == 0:
		return nil, fmt.Errorf("clients are verified with a root: %w", ErrNoRoots)
	}
	c := &apisixClient{CA: string(b.RootsPEM()), Depth: f.Depth, Skip: f.SkipMTLS}
	if c.Depth == 0 {
		c.Depth = (&Placement{Fit: Fit{Bundle: b}}).Depth()
	}
	return c, apisixSize(c.CA, 128, "the roots", "leave out those that sign no more")
}

// apisixSize holds a text to the limits of the schema.
func apisixSize(text string, least int, what, mend string) error {
	if n, most := len(text), 64<<10; n < least || n > most {
		return fmt.Errorf("APISIX takes %d to %d characters for %s, and these are %d: %s", least, most, what, n, mend)
	}
	return nil
}
