package plan

import (
	"fmt"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// decide puts one node into the plan. What it depends on is there already.
func (p *planner) decide(i int32) error {
	n := &p.nodes[i]
	if k := int(i) - len(p.set.Certificates); k >= 0 {
		return p.decideRequest(n, p.set.Requests[k])
	}
	c := p.set.Certificates[i]
	act := Action{Certificate: c, Name: c.Key.String(), Signer: n.issuer.signer(), Level: int(n.level)}
	if p.refusedBefore(n, c.Origin, act.Name) || p.lacksPassword(n, c, act.Name) {
		return nil
	}
	a, err := p.in.Actual(act.Name)
	if err != nil {
		return fmt.Errorf("%s: %w", act.Name, err)
	}
	switch {
	case a == nil:
		p.decideNew(&act)
	case a.Applied == nil:
		p.problem(c.Origin, "metadata.name", act.Name+" is in the PKI directory, and no manifest made it", "rename the Certificate, or remove what is there")
		return nil
	case a.Applied.Certificate == nil:
		p.problem(c.Origin, "metadata.name", act.Name+" in the PKI directory was made by a CertificateRequest", "rename the Certificate, or remove what is there")
		return nil
	default:
		if stalled := p.decideOld(&act, a); stalled {
			// What it signs goes on with what is there, as in a cluster.
			return nil
		}
	}
	n.newKey = act.Verb == Create || act.Verb == Reissue && !act.KeepKey
	n.renewed = act.Verb == Create || act.Verb == Adopt || act.Verb == Reissue && !sameCA(&act)
	if act.Verb == Keep || act.Verb == Rewrite {
		p.noteKept(n, &act, a)
	}
	p.out.Actions = append(p.out.Actions, act)
	return nil
}

// sameCA reports whether what a reissued authority signed before holds under its
// new certificate: the key stays, and nothing changed but the age.
func sameCA(act *Action) bool {
	return act.KeepKey && len(act.Reasons) == 1 && act.Reasons[0].Name == Renewing
}

// signer is who signs for an issuer, once its authority is known.
func (i *issuer) signer() *Signer {
	if i.signs == nil {
		i.signs = &Signer{SelfSigned: i.self, Authority: i.authority, StandIn: i.standIn, URLs: i.urls}
	}
	return i.signs
}

// refuse puts a node among the refused, and what depends on it, too.
func (p *planner) refuse(n *node, name, because string, problem manifest.Problem) {
	n.refused = true
	p.out.Refused = append(p.out.Refused, Refusal{Name: name, Problem: problem, Because: because})
}

// issuerPath is the field in which an object names an issuer.
func issuerPath(o manifest.Origin, id issuerID) string {
	switch {
	case o.Kind != "Ingress" && o.Kind != "Gateway":
		return "spec.issuerRef"
	case id.Kind == cmapi.ClusterIssuerKind:
		return "metadata.annotations[" + cmapi.IngressClusterIssuerNameAnnotationKey + "]"
	}
	return "metadata.annotations[" + cmapi.IngressIssuerNameAnnotationKey + "]"
}

// refusedBefore refuses what has a refused issuer or depends on what is refused.
func (p *planner) refusedBefore(n *node, o manifest.Origin, name string) bool {
	problem := manifest.Problem{Origin: o, Path: issuerPath(o, n.issuer.id)}
	switch {
	case n.issuer.refused != "":
		problem.Text, problem.Hint = n.issuer.refused, n.issuer.id.hint()
		p.refuse(n, name, "", problem)
	case n.signer != none && p.nodes[n.signer].refused:
		by := p.set.Certificates[n.signer].Key.String()
		problem.Text = "it depends on Certificate " + by + ", which cannot be had"
		p.refuse(n, name, by, problem)
	default:
		return false
	}
	return true
}

// lacksPassword refuses a Certificate whose keystore has no password: cert-manager
// then writes no Secret at all (section 1.4).
func (p *planner) lacksPassword(n *node, c *manifest.Certificate, name string) bool {
	if c.Spec.Keystores == nil {
		return false
	}
	if j := c.Spec.Keystores.JKS; hasJKS(&c.Spec) && j.Password == nil && p.lacks(n, c, name, "spec.keystores.jks", j.PasswordSecretRef) {
		return true
	}
	k := c.Spec.Keystores.PKCS12
	return hasPKCS12(&c.Spec) && k.Password == nil && p.lacks(n, c, name, "spec.keystores.pkcs12", k.PasswordSecretRef)
}

func (p *planner) lacks(n *node, c *manifest.Certificate, name, path string, ref cmmeta.SecretKeySelector) bool {
	s := manifest.Key{Namespace: c.Namespace, Name: ref.Name}
	problem := manifest.Problem{Origin: c.Origin, Path: path + ".passwordSecretRef", Hint: "add the Secret with the password to the input"}
	if secret, ok := p.set.Secrets[s]; ok {
		if len(secret.Data[ref.Key]) > 0 {
			return false
		}
		problem.Text, problem.Hint = fmt.Sprintf("Secret %s has no %q", s, ref.Key), "name one of its keys"
	} else {
		problem.Text = fmt.Sprintf("there is no Secret %s in the input to take the password from", s)
		problem.Text += p.finder.instead(s)
	}
	p.refuse(n, name, "", problem)
	return true
}

// decideNew is for a name that nothing has yet.
func (p *planner) decideNew(act *Action) {
	act.Verb, act.Reasons = Create, notThere()
	s, ok := p.set.Secrets[secretOf(act.Certificate)]
	if !ok {
		return
	}
	if reasons := p.adoption(act.Certificate, s); reasons != nil {
		act.Reasons = reasons
		if neverRotates(&act.Certificate.Spec) {
			p.warn(act.Certificate.Origin, "spec.privateKey.rotationPolicy", "a new key is made though it is Never: the one in Secret "+s.Key.String()+" is not taken over")
		}
		return
	}
	act.Verb = Adopt
	act.Reasons = []Reason{{Adopted, "key and certificate of Secret " + s.Key.String() + " in the input are what is asked for", nil}}
	ca := act.Certificate.Spec.IsCA
	p.imports[act.Name] = true
	p.out.Imports = append(p.out.Imports, Import{Name: act.Name, Secret: s, Authority: ca, Certificate: act.Certificate})
}

func notThere() []Reason { return []Reason{{DoesNotExist, "there is none yet", nil}} }

func neverRotates(s *cmapi.CertificateSpec) bool {
	return s.PrivateKey != nil && s.PrivateKey.RotationPolicy == cmapi.RotationPolicyNever
}

// decideOld is for what a manifest made before. It goes through the reasons of
// section 4.1 in their order and keeps all that hold. It refuses a change of key
// that rotationPolicy Never forbids.
func (p *planner) decideOld(act *Action, a *Actual) (stalled bool) {
	c, spec, old := act.Certificate, &act.Certificate.Spec, a.Applied.Certificate
	add := func(name, text string, fields ...string) {
		act.Reasons = append(act.Reasons, Reason{name, text, fields})
	}
	elsewhere := old.SecretName != spec.SecretName
	if elsewhere {
		add(DoesNotExist, fmt.Sprintf("there is no Secret %s yet: it was %s", secretOf(c), old.SecretName), "spec.secretName")
	}
	if !a.HasKey && !a.Authority {
		add(MissingData, "its private key is not there")
	}
	if a.Damage != nil {
		act.Reasons = append(act.Reasons, *a.Damage)
	}
	if !sameRef(old.IssuerRef, spec.IssuerRef) {
		add(IncorrectIssuer, fmt.Sprintf("it was issued by %s, and %s is asked for", idOf(c.Namespace, old.IssuerRef), idOf(c.Namespace, spec.IssuerRef)), "spec.issuerRef")
	}
	keeps := neverRotates(spec) && a.HasKey && !elsewhere
	if want := wantedKey(spec); a.Key != want {
		field := keyField(a.Key, want)
		if keeps {
			p.out.Refused = append(p.out.Refused, Refusal{Name: act.Name, Problem: manifest.Problem{
				Origin: c.Origin, Path: field,
				Text: fmt.Sprintf("the key is %s, %s is asked for, and rotationPolicy: Never keeps the key: cert-manager would wait here for a person", a.Key, want),
				Hint: "set spec.privateKey.rotationPolicy: Always, or ask for the key that is there",
			}})
			return true
		}
		add(SecretMismatch, fmt.Sprintf("the key is %s, and %s is asked for", a.Key, want), field)
	}
	if fields := requestChanges(old, spec); fields != nil {
		act.Reasons = append(act.Reasons, changedReason(RequestChanged, fields))
	}
	if a.Revoked {
		add(Revoked, "it is revoked")
	}
	if r := p.renewal(c, a.NotBefore, a.NotAfter); r != nil {
		act.Reasons = append(act.Reasons, *r)
	}
	if s, ok := p.set.Secrets[secretOf(c)]; ok {
		p.warnSecretPassedOver(s, act.Name, a)
	}

	if act.Reasons != nil {
		act.Verb, act.KeepKey = Reissue, keeps && !a.Revoked
		if keeps && a.Revoked {
			p.warn(c.Origin, "spec.privateKey.rotationPolicy", "a new key is made though it is Never: the certificate of the old one is revoked")
		}
		return false
	}
	act.Verb, act.Reasons = Keep, rewrites(a.Applied.written(), spec)
	if act.Reasons != nil {
		act.Verb = Rewrite
	}
	p.warnLate(act, a)
	return false
}

func changedReason(name string, fields []string) Reason {
	return Reason{name, "changed: " + strings.Join(fields, ", "), fields}
}

// renewal returns the reason Renewing if the time has come (section 4.4).
func (p *planner) renewal(c *manifest.Certificate, notBefore, notAfter time.Time) *Reason {
	at, never, err := manifest.RenewalTime(notBefore, notAfter, &c.Spec)
	if err != nil {
		p.warn(c.Origin, "spec.renewal.windows", fmt.Sprintf("%v: it is renewed without them, on %s", err, pki.FormatTime(at)))
	}
	if never {
		if p.in.Now.After(notAfter) {
			p.warn(c.Origin, "spec.renewal.policy", fmt.Sprintf("it expired on %s, and Disabled keeps it so", pki.FormatTime(notAfter)))
		}
		return nil
	}
	if at.After(p.in.Now) {
		return nil
	}
	text := "it is due since " + pki.FormatTime(at)
	if p.in.Now.After(notAfter) {
		text = "it expired on " + pki.FormatTime(notAfter)
	}
	return &Reason{Renewing, text, nil}
}

// warnLate warns of what changed and does not reissue.
func (p *planner) warnLate(act *Action, a *Actual) {
	c := act.Certificate
	if fields := lateChanges(a.Applied.Certificate, &c.Spec); fields != nil {
		p.warn(c.Origin, fields[0], fmt.Sprintf("%s changed, which reissues nothing: it takes effect with the next certificate", strings.Join(fields, ", ")))
	}
	if fields := unnoticed(a.Applied.written(), &c.Spec); fields != nil && act.Verb == Rewrite {
		p.warn(c.Origin, fields[0], fmt.Sprintf("%s changed, which cert-manager does not notice: in a cluster, delete the Secret's keystore", strings.Join(fields, ", ")))
	}
	if a.Authority && !a.HasKey {
		p.warn(c.Origin, "", fmt.Sprintf("the key of %s is not in the PKI directory: it is kept, and signs nothing", act.Name))
	}
}

// warnSecretPassedOver warns of a Secret of the input that is older or newer than
// what is in the PKI directory, which wins.
func (p *planner) warnSecretPassedOver(s *manifest.Secret, name string, a *Actual) {
	if held, bad := readPair(s); bad == nil && held.fingerprint() != a.Fingerprint {
		p.warn(s.Origin, "data", fmt.Sprintf("it holds another certificate than %s in the PKI directory, and is passed over", name))
	}
}
