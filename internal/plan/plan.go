// Package plan works out what manifests ask for that is not so yet: which
// certificates are to be made, reissued and why, rewritten or kept, and in which
// order. It decides as cert-manager does, by the same reasons under the same
// names, and says beforehand what would never come about.
//
// It reads no file, no clock and no directory: what is there comes in through
// functions, and a plan comes out. A private key is looked at only where the input
// brings one, to see whether it belongs to its certificate.
package plan

import (
	"crypto/sha256"
	"iter"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// DefaultClusterNamespace is where ClusterIssuers have their Secrets if nothing
// else is said: where cert-manager's own charts install it.
const DefaultClusterNamespace = "cert-manager"

// Actual is the state of one name in the PKI directory.
type Actual struct {
	Authority           bool   // it is an authority
	Issuer              string // name of the authority that signed it; its own if it signed itself
	NotBefore, NotAfter time.Time
	Key                 profiles.KeyType
	HasKey              bool
	Revoked             bool
	// IssuerChanged says that its authority has another certificate by now than
	// the one it was signed under.
	IssuerChanged bool
	// Fingerprint is the SHA-256 of its certificate in DER.
	Fingerprint [sha256.Size]byte
	// Damage says why it cannot be used as it is, under the name InvalidKeyPair or
	// InvalidCertificate; nil if nothing is wrong.
	Damage *Reason
	// Applied is what a manifest asked for; nil if no manifest did.
	Applied *Applied
}

// Input is what a plan is made of.
type Input struct {
	Set *manifest.Set
	Now time.Time
	// Actual returns what is there under a name, NAMESPACE/NAME; nil if nothing is.
	Actual func(name string) (*Actual, error)
	// Applied are the names that manifests made; only pruning reads them.
	Applied iter.Seq[string]
	// SignedBy are the names whose certificates in use an authority signed; only
	// pruning asks for them. It may be nil.
	SignedBy func(authority string) iter.Seq[string]
	// Issuers are those remembered from earlier runs. The Set's go before them.
	Issuers map[manifest.IssuerKey]*manifest.Issuer
	// CASecret returns the authority that an earlier run wrote a CA Secret for. It
	// may be nil.
	CASecret func(manifest.Key) (authority string, ok bool)
	// StandIns are the issuers that authorities stand in for.
	StandIns []StandIn
	// Authorities reports whether the PKI directory has an authority of that name.
	Authorities func(name string) bool
	// ClusterNamespace is where ClusterIssuers have their Secrets; empty means
	// [DefaultClusterNamespace].
	ClusterNamespace string
	// Prune asks to remove what no manifest names any more.
	Prune bool
}

// A Plan is what is to be done, in this order: Imports, Actions, Removals.
type Plan struct {
	Imports  []Import
	Actions  []Action // each after those it depends on
	Removals []string // names in the PKI directory, in order
	// Refused is what cannot be had, each with its cause. The rest can.
	Refused  []Refusal
	Warnings []manifest.Warning // the plan's own, without those of the Set
	// Issuers are those to remember for later runs.
	Issuers map[manifest.IssuerKey]*manifest.Issuer
}

// A Verb is what is done about one certificate.
type Verb string

// The verbs.
const (
	Create  Verb = "create"
	Reissue Verb = "reissue"
	Adopt   Verb = "adopt"   // take over key and certificate from a Secret of the input
	Rewrite Verb = "rewrite" // write the Secret again; key and certificate stay
	Keep    Verb = "keep"
)

// An Action is what to do about one Certificate or one CertificateRequest.
type Action struct {
	Verb    Verb
	Reasons []Reason // in cert-manager's order; empty if it is kept
	// Either Certificate or Request is set.
	Certificate *manifest.Certificate
	Request     *manifest.Request
	Name        string  // in the PKI directory: NAMESPACE/NAME
	Signer      *Signer // the same for all of one issuer
	KeepKey     bool    // a reissue under rotationPolicy Never
	// Level is 0 for what is signed by itself or by what is there already, and
	// one more than its authority's otherwise.
	Level int
}

// Signer is whose key signs. Either SelfSigned or Authority is set.
type Signer struct {
	SelfSigned bool
	Authority  string // name in the PKI directory
	StandIn    bool   // the authority stands in for an issuer
	// URLs go into the certificate. They are the issuer's; where an authority
	// stands in they are empty, and its own are meant.
	URLs pki.URLs
	// Key is the Secret that holds the key of a CertificateRequest that signs
	// itself, and KeyOf the name of the certificate whose key that is; empty if
	// the Secret is the input's.
	Key   manifest.Key
	KeyOf string
}

// An Import is a Secret of the input whose key and certificate the PKI directory
// takes over before anything is signed.
type Import struct {
	Name      string // in the PKI directory
	Secret    *manifest.Secret
	Authority bool
	// Certificate is the one whose Secret it is: it is adopted. Nil if the input
	// has only the Secret: then Name is the Secret's.
	Certificate *manifest.Certificate
	// Replaces says that there is an authority of that name with another
	// certificate.
	Replaces bool
}

// A Refusal is a Certificate or a CertificateRequest that cannot be had, and why.
type Refusal struct {
	Name    string // in the PKI directory
	Problem manifest.Problem
	// Because is the refused certificate that this one depends on; empty if the
	// cause is its own.
	Because string
}

// Make works out the plan. Problems that stop everything are manifest.Problems, all
// of them together; a stand-in whose authority is missing is a *NoAuthorityError,
// and two for the same issuer are a *TwoStandInsError; other errors are those of
// in.Actual.
func Make(in Input) (*Plan, error) {
	if in.ClusterNamespace == "" {
		in.ClusterNamespace = DefaultClusterNamespace
	}
	p := newPlanner(in)
	p.checkNames()
	if err := p.checkStandIns(); err != nil {
		return nil, err
	}
	if err := p.resolveAll(); err != nil {
		return nil, err
	}
	p.findCycles()
	p.finishIssuers()
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	if err := p.planImports(); err != nil {
		return nil, err
	}
	if err := p.checkAuthorities(); err != nil {
		return nil, err
	}
	for _, i := range p.order() {
		if err := p.decide(i); err != nil {
			return nil, err
		}
	}
	if in.Prune {
		if err := p.prune(); err != nil {
			return nil, err
		}
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	p.checkReferences()
	p.warnStandIns()
	p.finishNotes()
	out := p.out // of what it took to find out, nothing stays
	out.Issuers = p.remember()
	return &out, nil
}

// A planner holds what is known while a plan is made.
type planner struct {
	in       Input
	set      *manifest.Set
	problems manifest.Problems
	out      Plan

	names   map[manifest.Key]int32 // Certificates by name
	writers map[manifest.Key]int32 // Certificates by the Secret they write
	nodes   []node                 // Certificates, then CertificateRequests

	issuers map[issuerID]*issuer
	used    []*issuer       // in the order of first use
	imports map[string]bool // by name; whether it is new or another than there was
	pending []Import        // CA Secrets, in the order of first use
	standIn []bool          // which were of use
	finder  finder
	notes   notes
}

// A node is a Certificate or a CertificateRequest on its way into the plan.
type node struct {
	issuer *issuer
	signer int32 // the Certificate that it depends on; none if there is none
	level  int32 // from 0; -1 before it is known
	// newKey says that its key is made in this run.
	newKey bool
	// refused says that what depends on it is refused, too.
	refused bool
	// renewed says that those below it keep a certificate signed under a former
	// one.
	renewed bool
}

const none = -1

func newPlanner(in Input) *planner {
	n := len(in.Set.Certificates)
	p := &planner{
		in: in, set: in.Set,
		names:   make(map[manifest.Key]int32, n),
		writers: make(map[manifest.Key]int32, n),
		nodes:   make([]node, n+len(in.Set.Requests)),
		issuers: map[issuerID]*issuer{},
		imports: map[string]bool{},
		standIn: make([]bool, len(in.StandIns)),
	}
	p.out.Actions = make([]Action, 0, len(p.nodes))
	p.finder.p = p
	return p
}

func (p *planner) problem(o manifest.Origin, path, text, hint string) {
	p.problems = append(p.problems, manifest.Problem{Origin: o, Path: path, Text: text, Hint: hint})
}

func (p *planner) warn(o manifest.Origin, path, text string) {
	p.out.Warnings = append(p.out.Warnings, manifest.Warning{Origin: o, Path: path, Text: text})
}

// secretOf is the Secret that a Certificate writes.
func secretOf(c *manifest.Certificate) manifest.Key {
	return manifest.Key{Namespace: c.Namespace, Name: c.Spec.SecretName}
}

// checkNames fills the indexes, and finds what would be made twice.
func (p *planner) checkNames() {
	for i, c := range p.set.Certificates {
		if first, ok := p.names[c.Key]; ok {
			p.problem(c.Origin, "metadata.name", "there is another Certificate of that name: "+p.set.Certificates[first].String(), "rename one of them")
			continue
		}
		p.names[c.Key] = int32(i)
		s := secretOf(c)
		if first, ok := p.writers[s]; ok {
			p.problem(c.Origin, "spec.secretName", "Secret "+s.String()+" is already written by Certificate "+p.set.Certificates[first].Key.String()+
				" ("+p.set.Certificates[first].String()+"): cert-manager would issue only one of them", "give each a Secret of its own")
			continue
		}
		p.writers[s] = int32(i)
	}
	requests := make(map[manifest.Key]*manifest.Request, len(p.set.Requests))
	for _, r := range p.set.Requests {
		if i, ok := p.names[r.Key]; ok {
			p.problem(r.Origin, "metadata.name", "there is a Certificate of that name, too ("+p.set.Certificates[i].String()+
				"): both would be "+r.Key.String()+" in the PKI directory", "rename one of them")
		}
		if first, ok := requests[r.Key]; ok {
			p.problem(r.Origin, "metadata.name", "there is another CertificateRequest of that name: "+first.String(), "rename one of them")
			continue
		}
		requests[r.Key] = r
	}
}
