package plan

import (
	"bytes"
	"fmt"
	"slices"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// keySecret is the Secret with the key of a CertificateRequest that signs itself;
// it has no name if the annotation is missing (section 2.4).
func keySecret(r *manifest.Request) manifest.Key {
	return manifest.Key{Namespace: r.Namespace, Name: r.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey]}
}

// decideRequest puts a CertificateRequest into the plan. It has no age: what is
// there stays, expired or revoked, until another request is made.
func (p *planner) decideRequest(n *node, r *manifest.Request) error {
	act := Action{Request: r, Name: r.Key.String(), Signer: n.issuer.signer(), Level: int(n.level)}
	if p.refusedBefore(n, r.Origin, act.Name) {
		return nil
	}
	if _, ok := p.imports[act.Name]; ok {
		p.problem(r.Origin, "metadata.name", "the CA of Secret "+act.Name+" would be "+act.Name+" in the PKI directory, too", "rename the CertificateRequest")
		return nil
	}
	a, err := p.in.Actual(act.Name)
	if err != nil {
		return fmt.Errorf("%s: %w", act.Name, err)
	}
	switch {
	case a == nil:
		act.Verb, act.Reasons = Create, notThere()
	case a.Applied == nil:
		p.problem(r.Origin, "metadata.name", act.Name+" is in the PKI directory, and no manifest made it", "rename the CertificateRequest, or remove what is there")
		return nil
	case a.Applied.Request == nil:
		p.problem(r.Origin, "metadata.name", act.Name+" in the PKI directory was made by a Certificate", "rename the CertificateRequest, or remove what is there")
		return nil
	default:
		act.Verb = Keep
		if fields := changedRequest(a.Applied.Request, &r.Spec); fields != nil {
			act.Verb, act.Reasons = Reissue, []Reason{changedReason(RequestChanged, fields)}
		}
	}
	if act.Verb == Keep {
		switch {
		case a.Revoked:
			p.warn(r.Origin, "spec.request", "its certificate is revoked: make a request with a new key")
		case p.in.Now.After(a.NotAfter):
			p.warn(r.Origin, "spec.request", fmt.Sprintf("its certificate expired on %s, and a CertificateRequest is not renewed: make another", pki.FormatTime(a.NotAfter)))
		}
		p.noteKept(n, &act, a)
	} else if n.issuer.self && !p.findKey(n, &act) {
		return nil
	}
	p.out.Actions = append(p.out.Actions, act)
	return nil
}

// changedRequest returns the field paths in which r asks for another certificate.
// The order of usages counts: it is that of the certificate.
func changedRequest(old, now *cmapi.CertificateRequestSpec) (fields []string) {
	if !bytes.Equal(old.Request, now.Request) {
		fields = append(fields, "spec.request")
	}
	if lifetime(old.Duration) != lifetime(now.Duration) {
		fields = append(fields, "spec.duration")
	}
	if !slices.Equal(old.Usages, now.Usages) {
		fields = append(fields, "spec.usages")
	}
	if old.IsCA != now.IsCA {
		fields = append(fields, "spec.isCA")
	}
	if !sameRef(old.IssuerRef, now.IssuerRef) {
		fields = append(fields, "spec.issuerRef")
	}
	return fields
}

// findKey looks for the key that a request of a selfSigned issuer is signed with,
// and refuses the request without it.
func (p *planner) findKey(n *node, act *Action) bool {
	r, s := act.Request, keySecret(act.Request)
	const path = "metadata.annotations[" + cmapi.CertificateRequestPrivateKeyAnnotationKey + "]"
	refuse := func(hint, format string, args ...any) bool {
		p.refuse(n, act.Name, "", manifest.Problem{Origin: r.Origin, Path: path, Text: fmt.Sprintf(format, args...), Hint: hint})
		return false
	}
	if s.Name == "" {
		return refuse("set it to the name of the Secret that holds the request's key",
			"a CertificateRequest signs itself with the key of the Secret named there, and it is missing")
	}
	own := *act.Signer
	act.Signer, own.Key = &own, s
	if n.signer != none {
		c := p.set.Certificates[n.signer]
		if p.nodes[n.signer].newKey {
			return refuse("let the request be made when the key is there",
				"the key of Secret %s is made in this run, for Certificate %s: it is not the request's", s, c.Key)
		}
		act.Signer.KeyOf = c.Key.String()
		return true
	}
	secret, ok := p.set.Secrets[s]
	if !ok {
		return refuse("add the Secret to the input", "there is no Secret %s in the input, and no Certificate writes it%s", s, p.finder.instead(s))
	}
	key, err := pki.ParseKey(secret.Data[keyKey], nil)
	if err != nil {
		return refuse("put the request's key there", "%s of Secret %s: %v", keyKey, s, err)
	}
	csr, err := pki.ParseCSR(r.Spec.Request)
	if err != nil {
		return refuse("make the request again", "spec.request: %v", err)
	}
	if !pki.SamePublicKey(key.Public(), csr.PublicKey) {
		return refuse("name the Secret with the request's key", "the key of Secret %s is not the request's", s)
	}
	return true
}
