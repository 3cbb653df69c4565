package export

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// again is the way out of what is in the certificate itself.
func again(flags string) string { return "issue it again, with --force and " + flags }

const peerRemedy = "'mtlsctl issue peer NAME' makes one"

// needsBoth refuses a server's certificate where servers are clients of each
// other, too.
func needsBoth(why string) rule {
	return rule{roles: string(Server), breach: func(*Fit) (string, string) {
		return "wants a certificate for servers and clients at once: " + why, peerRemedy
	}}
}

// needsCN refuses clients without a common name where that is the user.
func needsCN() rule {
	return rule{roles: string(Client), breach: func(f *Fit) (problem, remedy string) {
		if f.Bundle.Leaf().Subject.CommonName == "" {
			return "takes the common name for the user, and there is none", again("--cn USER")
		}
		return "", ""
	}}
}

// needsHost refuses certificates of servers that have no address.
func needsHost(why string) rule {
	return rule{roles: "server peer", breach: func(f *Fit) (problem, remedy string) {
		if c := f.Bundle.Leaf(); len(c.DNSNames) == 0 && len(c.IPAddresses) == 0 {
			return why + ", and there is neither a DNS name nor an IP address", again("--dns NAME or --ip ADDRESS")
		}
		return "", ""
	}}
}

// needsPKCS8 refuses keys in the older forms.
func needsPKCS8() rule {
	return rule{formats: "pem", roles: "server client peer", breach: func(f *Fit) (problem, remedy string) {
		if f.Encoding != "" && f.Encoding != pki.PKCS8 {
			return fmt.Sprintf("reads keys in PKCS#8 alone, and this one is written as %s", f.Encoding), "use --encoding pkcs8"
		}
		return "", ""
	}}
}

// refusesEd25519 is for programs that lack such keys in a format.
func refusesEd25519(formats string) rule {
	return rule{formats: formats, roles: "server client peer", breach: func(f *Fit) (problem, remedy string) {
		if f.KeyType() == profiles.Ed25519 {
			return "reads no Ed25519 keys in this form", again("--key ec-p256")
		}
		return "", ""
	}}
}

// unlikeCAs refuses a common name that a CA above has too (MySQL manual,
// "Creating SSL Certificates and Keys Using openssl").
func unlikeCAs() rule {
	return rule{roles: "server client peer", breach: func(f *Fit) (problem, remedy string) {
		cn := f.Bundle.Leaf().Subject.CommonName
		if cn != "" && hasCN(slices.Concat(f.Bundle.Chain[1:], f.Bundle.Roots), cn) {
			return fmt.Sprintf("fails if an authority has the certificate's common name, %q", cn), again("another --cn")
		}
		return "", ""
	}}
}

// unlikeServers refuses clients with the common name of a server; the row
// compares.
func unlikeServers() rule {
	return rule{roles: string(Client), breach: func(f *Fit) (problem, remedy string) {
		cn := f.Bundle.Leaf().Subject.CommonName
		if cn != "" && hasCN(f.Others, cn) {
			return fmt.Sprintf("wants other common names of clients than of servers, and a server has %q", cn), again("another --cn")
		}
		return "", ""
	}}
}

func hasCN(certs []*x509.Certificate, cn string) bool {
	return slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return strings.EqualFold(c.Subject.CommonName, cn) })
}

// notCalled refuses names whose file has something else in it.
func notCalled(names ...string) rule {
	return rule{roles: "server client peer", breach: func(f *Fit) (problem, remedy string) {
		if name := path.Base(f.Name); slices.Contains(names, strings.ToLower(name)) {
			return fmt.Sprintf("has something else in %s.pem, where this certificate would be", name), "issue it under another name"
		}
		return "", ""
	}}
}

// memberAttributes are those by which MongoDB tells members of a cluster from
// clients: O, OU and DC, in any order (MongoDB manual, "x.509").
func memberAttributes(c *x509.Certificate) (all []string) {
	words := []struct {
		oid  asn1.ObjectIdentifier
		word string
	}{
		{asn1.ObjectIdentifier{2, 5, 4, 10}, "O="},
		{asn1.ObjectIdentifier{2, 5, 4, 11}, "OU="},
		{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, "DC="},
	}
	for _, a := range c.Subject.Names {
		for _, w := range words {
			if a.Type.Equal(w.oid) {
				all = append(all, w.word+fmt.Sprint(a.Value))
			}
		}
	}
	slices.Sort(all)
	return all
}

// memberHasAttributes refuses members that MongoDB cannot know as such.
func memberHasAttributes() rule {
	return rule{roles: string(Peer), breach: func(f *Fit) (problem, remedy string) {
		if len(memberAttributes(f.Bundle.Leaf())) == 0 {
			return "knows members of a cluster by O, OU or DC, and there is none of these", again("--org, the same for all members")
		}
		return "", ""
	}}
}

// clientHasSubject refuses clients that MongoDB has no name for.
func clientHasSubject() rule {
	return rule{roles: string(Client), breach: func(f *Fit) (problem, remedy string) {
		if len(f.Bundle.Leaf().Subject.Names) == 0 {
			return "takes the subject for the user, and it is empty", again("--cn USER")
		}
		return "", ""
	}}
}

// clientUnlikeMembers refuses clients that MongoDB takes for members; the row
// compares.
func clientUnlikeMembers() rule {
	return rule{roles: string(Client), breach: func(f *Fit) (problem, remedy string) {
		own := memberAttributes(f.Bundle.Leaf())
		for _, c := range f.Others {
			if len(own) > 0 && slices.Equal(own, memberAttributes(c)) {
				return fmt.Sprintf("takes a client with %s for a member of the cluster: a server has the same", printable(strings.Join(own, ", "))),
					again("another --org or --ou")
			}
		}
		return "", ""
	}}
}

// consulNamed refuses servers that Consul's other agents would not take for one,
// or that cannot be asked on their own machine (gh/hashicorp/consul
// command/tls/cert/create makes them so).
func consulNamed() rule {
	return rule{roles: "server peer", breach: func(f *Fit) (problem, remedy string) {
		leaf := f.Bundle.Leaf()
		agent := consulAgentOf(leaf)
		if agent.kind == string(Client) {
			return "", ""
		}
		var missing, flags []string
		lack := func(kind, name string) {
			missing = append(missing, name)
			flags = append(flags, "--"+kind+" "+name)
		}
		if agent.kind == "" {
			lack("dns", "server.dc1.consul")
		}
		if !slices.Contains(leaf.DNSNames, "localhost") {
			lack("dns", "localhost")
		}
		if !slices.ContainsFunc(pki.SANsOf(leaf), func(s pki.SAN) bool { return s.Value() == "127.0.0.1" }) {
			lack("ip", "127.0.0.1")
		}
		if len(missing) == 0 {
			return "", ""
		}
		return "wants a server's names to be server.DATACENTER.DOMAIN, localhost and 127.0.0.1; missing: " + strings.Join(missing, ", "),
			again(strings.Join(flags, " "))
	}}
}
