package plan

import (
	"fmt"
	"strings"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// An issuerID is what an issuerRef names: kind and group with cert-manager's
// defaults, and the namespace in which it is looked up.
type issuerID struct {
	group string
	manifest.IssuerKey
}

func idOf(namespace string, ref cmmeta.IssuerReference) issuerID {
	id := issuerID{ref.Group, manifest.IssuerKey{Kind: ref.Kind, Key: manifest.Key{Namespace: namespace, Name: ref.Name}}}
	if id.group == "" {
		id.group = certmanager.GroupName
	}
	if id.Kind == "" {
		id.Kind = cmapi.IssuerKind
	}
	if id.Kind == cmapi.ClusterIssuerKind && !id.external() {
		id.Namespace = ""
	}
	return id
}

func (id issuerID) external() bool { return id.group != certmanager.GroupName }

func (id issuerID) String() string {
	kind := id.Kind
	if id.external() {
		kind += "." + id.group
	}
	return kind + " " + id.Key.String()
}

// pattern is the id as --issuer takes it.
func (id issuerID) pattern() string {
	return StandIn{Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}.pattern()
}

func (id issuerID) hint() string {
	return fmt.Sprintf("let an authority stand in for it: --issuer %s=AUTHORITY", id.pattern())
}

// An issuer is one that something refers to, and what came of looking for it.
type issuer struct {
	id   issuerID
	refs int // how many refer to it
	user manifest.Origin

	self      bool   // signs with the certificate's own key
	authority string // name in the PKI directory; empty if it signs itself or cannot be had
	cert      int32  // the Certificate that is the authority; none if it is not the input's
	standIn   bool
	urls      pki.URLs
	signs     *Signer // nil before it is asked for

	// refused is why what refers to it cannot be had. A problem stops everything.
	refused string
	problem *manifest.Problem
}

// resolveAll finds the issuer of every node.
func (p *planner) resolveAll() error {
	for i, c := range p.set.Certificates {
		if err := p.connect(i, c.Origin, c.Spec.IssuerRef); err != nil {
			return err
		}
	}
	for i, r := range p.set.Requests {
		i += len(p.set.Certificates)
		if err := p.connect(i, r.Origin, r.Spec.IssuerRef); err != nil {
			return err
		}
		if n := &p.nodes[i]; n.issuer.self {
			// It is signed with the key of a Secret, which may be a Certificate's.
			if w, ok := p.writers[keySecret(r)]; ok {
				n.signer = w
			}
		}
	}
	return nil
}

func (p *planner) connect(i int, o manifest.Origin, ref cmmeta.IssuerReference) error {
	id := idOf(o.Namespace, ref)
	iss, ok := p.issuers[id]
	if !ok {
		iss = &issuer{id: id, user: o, cert: none}
		p.issuers[id] = iss
		p.used = append(p.used, iss)
		if err := p.resolve(iss, ref); err != nil {
			return err
		}
	}
	iss.refs++
	p.nodes[i] = node{issuer: iss, signer: iss.cert, level: -1}
	return nil
}

// resolve finds out who signs for an issuer.
func (p *planner) resolve(iss *issuer, ref cmmeta.IssuerReference) error {
	if at := p.standInFor(iss.id); at != none {
		p.standIn[at] = true
		iss.standIn, iss.authority = true, p.in.StandIns[at].Authority
		iss.cert = p.makesAuthority(iss.authority)
		return nil
	}
	if iss.id.external() {
		iss.refused = fmt.Sprintf("%s is an external issuer, which cannot be had here", iss.id)
		return nil
	}
	found, ok := p.set.Issuers[iss.id.IssuerKey]
	if !ok {
		found, ok = p.in.Issuers[iss.id.IssuerKey]
	}
	if !ok {
		p.missingIssuer(iss, ref)
		return nil
	}
	// The order is the one in which cert-manager looks (section 5).
	switch c := found.Spec.IssuerConfig; {
	case c.ACME != nil:
		iss.refused = fmt.Sprintf("%s is of type acme, which cannot be had here", iss.id)
	case c.CA != nil:
		iss.urls = pki.URLs{CRL: c.CA.CRLDistributionPoints, AIA: c.CA.IssuingCertificateURLs, OCSP: c.CA.OCSPServers}
		return p.resolveCA(iss, found)
	case c.Vault != nil:
		iss.refused = fmt.Sprintf("%s is of type vault, which cannot be had here", iss.id)
	case c.SelfSigned != nil:
		iss.self, iss.urls = true, pki.URLs{CRL: c.SelfSigned.CRLDistributionPoints}
	case c.Venafi != nil:
		iss.refused = fmt.Sprintf("%s is of type venafi, which cannot be had here", iss.id)
	default:
		iss.problem = &manifest.Problem{Origin: found.Origin, Path: "spec", Text: "it has no type: one of ca, selfSigned, acme, vault and venafi"}
	}
	return nil
}

// resolveCA finds the authority behind a CA issuer: the Certificate that writes its
// Secret, else a Secret of the input, else one that an earlier run knew.
func (p *planner) resolveCA(iss *issuer, found *manifest.Issuer) error {
	s := manifest.Key{Namespace: iss.id.Namespace, Name: found.Spec.CA.SecretName}
	if iss.id.Kind == cmapi.ClusterIssuerKind {
		s.Namespace = p.in.ClusterNamespace
	}
	wrong := func(text, hint string) {
		iss.problem = &manifest.Problem{Origin: found.Origin, Path: "spec.ca.secretName", Text: text, Hint: hint}
	}
	if i, ok := p.writers[s]; ok {
		c := p.set.Certificates[i]
		if !c.Spec.IsCA {
			wrong(fmt.Sprintf("Secret %s is written by Certificate %s, whose certificate is no CA", s, c.Key), "set isCA: true in Certificate "+c.Key.String())
			return nil
		}
		iss.authority, iss.cert = c.Key.String(), i
		return nil
	}
	if secret, ok := p.set.Secrets[s]; ok {
		if i, ok := p.names[s]; ok {
			wrong(fmt.Sprintf("the CA of Secret %s and Certificate %s would both be %s in the PKI directory", s, p.set.Certificates[i].Key, s),
				"rename the Certificate, or let it write that Secret")
			return nil
		}
		if _, ok := p.imports[s.String()]; ok {
			iss.authority = s.String()
			return nil
		}
		if bad := p.checkCASecret(secret); bad != "" {
			wrong(fmt.Sprintf("Secret %s: %s", s, bad), "")
			return nil
		}
		iss.authority = s.String()
		p.importCA(secret)
		return nil
	}
	if p.in.CASecret != nil {
		if name, ok := p.in.CASecret(s); ok && p.in.Authorities(name) {
			iss.authority = name
			return nil
		}
	}
	if name := s.String(); p.in.Authorities(name) {
		// Imported, by an earlier run or by hand; what a Certificate made is known by
		// the Secret it writes.
		a, err := p.in.Actual(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if a != nil && a.Applied == nil {
			iss.authority = name
			return nil
		}
	}
	p.missingCASecret(iss, s, wrong)
	return nil
}

func (p *planner) missingCASecret(iss *issuer, s manifest.Key, wrong func(text, hint string)) {
	cluster := iss.id.Kind == cmapi.ClusterIssuerKind
	text := fmt.Sprintf("there is no Secret %s, and no Certificate writes it", s)
	hint := fmt.Sprintf("add it, or a Certificate with secretName: %s in namespace %s; or %s", s.Name, s.Namespace, iss.id.hint())
	if others := p.finder.elsewhere(s); len(others) > 0 {
		text += "; there is " + p.finder.describe(others[0])
		hint = fmt.Sprintf("an Issuer finds its CA in its own namespace, %s", s.Namespace)
		if cluster {
			hint = fmt.Sprintf("the CA Certificate behind a ClusterIssuer must be in namespace %s, or name another with --cluster-resource-namespace", s.Namespace)
		}
	} else if near, ok := p.finder.near(s); ok {
		text += "; there is " + p.finder.describe(near)
		hint = "write secretName: " + near.Name
	}
	wrong(text, hint)
}

// missingIssuer says what was found instead of an issuer.
func (p *planner) missingIssuer(iss *issuer, ref cmmeta.IssuerReference) {
	id := iss.id
	text, hint := "there is no "+id.String(), "add it to the input, or "+id.hint()
	defer func() {
		iss.problem = &manifest.Problem{Origin: iss.user, Path: issuerPath(iss.user, id), Text: text, Hint: hint}
	}()

	other := id.IssuerKey
	if other.Kind = cmapi.ClusterIssuerKind; id.Kind == cmapi.ClusterIssuerKind {
		other.Kind, other.Namespace = cmapi.IssuerKind, iss.user.Namespace
	} else {
		other.Namespace = ""
	}
	if p.hasIssuer(other) {
		text += fmt.Sprintf(", but a %s %s", other.Kind, other.Key)
		if other.Kind == cmapi.IssuerKind {
			text = strings.Replace(text, "but a ", "but an ", 1)
		}
		hint = "set issuerRef.kind: " + other.Kind
		if ref.Kind == "" {
			hint += "; without it, an Issuer is looked up"
		}
		return
	}
	if where := p.finder.issuersElsewhere(id.IssuerKey); len(where) > 0 {
		text += ", but an Issuer " + where[0].String()
		hint = "an Issuer serves its own namespace: move it, or make it a ClusterIssuer"
		if id.Kind == cmapi.ClusterIssuerKind {
			hint = "make it a ClusterIssuer"
		}
		return
	}
	if near, ok := p.finder.nearIssuer(id.IssuerKey); ok {
		text += fmt.Sprintf(", but %s %s", near.Kind, near.Key)
		hint = "write issuerRef.name: " + near.Name
		if near.Kind != id.Kind {
			hint += ", and issuerRef.kind: " + near.Kind
		}
		return
	}
	if kind := p.finder.foreignIssuer(); kind != "" && ref.Group == "" {
		name, group, _ := strings.Cut(kind, ".")
		text += fmt.Sprintf(", but the input has an issuer of kind %s", kind)
		hint = fmt.Sprintf("if that is meant, set issuerRef.group: %s and kind: %s", group, name)
	}
}

func (p *planner) hasIssuer(k manifest.IssuerKey) bool {
	if _, ok := p.set.Issuers[k]; ok {
		return true
	}
	_, ok := p.in.Issuers[k]
	return ok
}

// finishIssuers reports each issuer that has a problem once, however many refer
// to it.
func (p *planner) finishIssuers() {
	for _, iss := range p.used {
		if iss.problem == nil {
			continue
		}
		if iss.refs > 1 && iss.problem.Origin == iss.user {
			iss.problem.Text += fmt.Sprintf(" (%d more refer to it)", iss.refs-1)
		}
		p.problems = append(p.problems, *iss.problem)
	}
}

// checkAuthorities warns of those in the PKI directory that have expired.
func (p *planner) checkAuthorities() error {
	seen := map[string]bool{}
	for _, iss := range p.used {
		if iss.authority == "" || iss.cert != none || p.imports[iss.authority] || seen[iss.authority] {
			continue
		}
		seen[iss.authority] = true
		a, err := p.in.Actual(iss.authority)
		if err != nil {
			return fmt.Errorf("%s: %w", iss.authority, err)
		}
		if a != nil && p.in.Now.After(a.NotAfter) {
			p.warn(iss.user, "spec.issuerRef", fmt.Sprintf("authority %s, behind %s, expired on %s: it signs nothing any more", iss.authority, iss.id, pki.FormatTime(a.NotAfter)))
		}
	}
	return nil
}

// remember returns the issuers to keep for later runs: all that are known, but
// when pruning only what is in the input or still in use.
func (p *planner) remember() map[manifest.IssuerKey]*manifest.Issuer {
	all := make(map[manifest.IssuerKey]*manifest.Issuer, len(p.set.Issuers)+len(p.in.Issuers))
	for k, v := range p.in.Issuers {
		if _, ok := p.issuers[issuerID{certmanager.GroupName, k}]; ok || !p.in.Prune {
			all[k] = v
		}
	}
	for k, v := range p.set.Issuers {
		all[k] = v
	}
	return all
}
