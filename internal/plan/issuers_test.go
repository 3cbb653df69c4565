package plan

import (
	"errors"
	"testing"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// TestProblems has what stops everything, with what was found instead.
func TestProblems(t *testing.T) {
	t.Parallel()
	passed := inputOf(certificate("tls/web", ref("", "x")))
	passed.Set.Passed["AWSPCAClusterIssuer.awspca.cert-manager.io"] = 1
	clash := inputOf(certificate("tls/web"), request("tls/web", nil))
	for name, test := range map[string]struct {
		in   Input
		want []string
	}{
		"two on one Secret": {
			inputOf(certificate("tls/a", secretName("x")), certificate("other/b", secretName("x"), ref("ClusterIssuer", "c")), certificate("tls/b", secretName("x")), selfIssuer("c")),
			[]string{"Certificate tls/b: spec.secretName: Secret tls/x is already written by Certificate tls/a (in.yaml: Certificate tls/a): cert-manager would issue only one of them | give each a Secret of its own"},
		},
		"two of one name": {
			inputOf(certificate("tls/a"), certificate("tls/a", secretName("x"))),
			[]string{"Certificate tls/a: metadata.name: there is another Certificate of that name: in.yaml: Certificate tls/a | rename one of them"},
		},
		"a request of a certificate's name": {
			clash,
			[]string{"CertificateRequest tls/web: metadata.name: there is a Certificate of that name, too (in.yaml: Certificate tls/web): both would be tls/web in the PKI directory | rename one of them"},
		},
		"its own CA": {
			inputOf(certificate("tls/a", isCA, secretName("x"), ref("", "loop")), caIssuer("tls/loop", "x")),
			[]string{"Certificate tls/a: spec.secretName: Secret tls/x is the CA of its own issuer, Issuer tls/loop: the certificate would have to sign itself before it is there | give it a selfSigned issuer, or another secretName"},
		},
		"a ring": {
			inputOf(certificate("tls/leaf", ref("", "of-a")),
				certificate("tls/a", isCA, ref("", "of-b")), certificate("tls/b", isCA, ref("", "of-c")), certificate("tls/c", isCA, ref("", "of-a")),
				caIssuer("tls/of-a", "a-tls"), caIssuer("tls/of-b", "b-tls"), caIssuer("tls/of-c", "c-tls")),
			[]string{"Certificate tls/a: spec.issuerRef: the Certificates are signed in a ring: tls/a by tls/b, tls/b by tls/c, tls/c by tls/a | give one of them a selfSigned issuer"},
		},
		"no issuer": {
			inputOf(certificate("tls/a", ref("", "nothing")), certificate("tls/b", ref("Issuer", "nothing"))),
			[]string{"Certificate tls/a: spec.issuerRef: there is no Issuer tls/nothing (1 more refer to it) | add it to the input, or let an authority stand in for it: --issuer Issuer/tls/nothing=AUTHORITY"},
		},
		"kind forgotten": {
			inputOf(certificate("tls/a", ref("", "x")), selfIssuer("x")),
			[]string{"Certificate tls/a: spec.issuerRef: there is no Issuer tls/x, but a ClusterIssuer x | set issuerRef.kind: ClusterIssuer; without it, an Issuer is looked up"},
		},
		"the wrong kind": {
			inputOf(certificate("tls/a", ref("ClusterIssuer", "ca"))),
			[]string{"Certificate tls/a: spec.issuerRef: there is no ClusterIssuer ca, but an Issuer tls/ca | set issuerRef.kind: Issuer"},
		},
		"issuer in another namespace": {
			inputOf(certificate("web/a", ref("", "ca"))),
			[]string{"Certificate web/a: spec.issuerRef: there is no Issuer web/ca, but an Issuer tls/ca | an Issuer serves its own namespace: move it, or make it a ClusterIssuer"},
		},
		"cluster issuer in another namespace": {
			inputOf(certificate("web/a", ref("ClusterIssuer", "ca"))),
			[]string{"Certificate web/a: spec.issuerRef: there is no ClusterIssuer ca, but an Issuer tls/ca | make it a ClusterIssuer"},
		},
		"near name": {
			inputOf(certificate("tls/a", ref("", "isuer")), selfIssuer("issuer"), selfIssuer("tls/issuer")),
			[]string{"Certificate tls/a: spec.issuerRef: there is no Issuer tls/isuer, but Issuer tls/issuer | write issuerRef.name: issuer"},
		},
		"near name of the other kind": {
			inputOf(certificate("tls/a", ref("", "isuer")), selfIssuer("issuer")),
			[]string{"Certificate tls/a: spec.issuerRef: there is no Issuer tls/isuer, but ClusterIssuer issuer | write issuerRef.name: issuer, and issuerRef.kind: ClusterIssuer"},
		},
		"group forgotten": {
			passed,
			[]string{"Certificate tls/web: spec.issuerRef: there is no Issuer tls/x, but the input has an issuer of kind AWSPCAClusterIssuer.awspca.cert-manager.io | if that is meant, set issuerRef.group: awspca.cert-manager.io and kind: AWSPCAClusterIssuer"},
		},
		"no type": {
			inputOf(certificate("tls/a", ref("", "x")), issuerOf("tls/x", cmapi.IssuerConfig{})),
			[]string{"Issuer tls/x: spec: it has no type: one of ca, selfSigned, acme, vault and venafi | "},
		},
		"no CA Secret": {
			inputOf(certificate("tls/a", ref("", "x")), caIssuer("tls/x", "root")),
			[]string{"Issuer tls/x: spec.ca.secretName: there is no Secret tls/root, and no Certificate writes it | add it, or a Certificate with secretName: root in namespace tls; or let an authority stand in for it: --issuer Issuer/tls/x=AUTHORITY"},
		},
		"an authority of that name that writes another Secret": {
			directory{"tls/root": actual(certificate("tls/root", isCA))}.with(inputOf(certificate("tls/a", ref("", "x")), caIssuer("tls/x", "root"))),
			[]string{"Issuer tls/x: spec.ca.secretName: there is no Secret tls/root, and no Certificate writes it | add it, or a Certificate with secretName: root in namespace tls; or let an authority stand in for it: --issuer Issuer/tls/x=AUTHORITY"},
		},
		"CA of a ClusterIssuer in the wrong namespace": {
			inputOf(certificate("tls/a", ref("ClusterIssuer", "x")), certificate("tls/root", isCA, secretName("root")), caIssuer("x", "root")),
			[]string{"ClusterIssuer x: spec.ca.secretName: there is no Secret cert-manager/root, and no Certificate writes it; there is Secret tls/root, written by Certificate tls/root | the CA Certificate behind a ClusterIssuer must be in namespace cert-manager, or name another with --cluster-resource-namespace"},
		},
		"CA of an Issuer in the wrong namespace": {
			inputOf(certificate("tls/a", ref("", "x")), secret("web/root", nil), caIssuer("tls/x", "root")),
			[]string{"Issuer tls/x: spec.ca.secretName: there is no Secret tls/root, and no Certificate writes it; there is Secret web/root | an Issuer finds its CA in its own namespace, tls"},
		},
		"CA Secret near": {
			inputOf(certificate("tls/a", ref("", "x")), certificate("tls/root", isCA), caIssuer("tls/x", "root")),
			[]string{"Issuer tls/x: spec.ca.secretName: there is no Secret tls/root, and no Certificate writes it; there is Secret tls/root-tls, written by Certificate tls/root | write secretName: root-tls"},
		},
		"no CA": {
			inputOf(certificate("tls/a", ref("", "x")), certificate("tls/root"), caIssuer("tls/x", "root-tls")),
			[]string{"Issuer tls/x: spec.ca.secretName: Secret tls/root-tls is written by Certificate tls/root, whose certificate is no CA | set isCA: true in Certificate tls/root"},
		},
		"not made by a manifest": {
			directory{"tls/a": {}}.with(inputOf(certificate("tls/a"))),
			[]string{"Certificate tls/a: metadata.name: tls/a is in the PKI directory, and no manifest made it | rename the Certificate, or remove what is there"},
		},
		"made by a request": {
			directory{"tls/a": {Applied: NewAppliedRequest(request("tls/a", nil))}}.with(inputOf(certificate("tls/a"))),
			[]string{"Certificate tls/a: metadata.name: tls/a in the PKI directory was made by a CertificateRequest | rename the Certificate, or remove what is there"},
		},
		"a request not made by a manifest": {
			directory{"tls/a": {}}.with(inputOf(request("tls/a", nil))),
			[]string{"CertificateRequest tls/a: metadata.name: tls/a is in the PKI directory, and no manifest made it | rename the CertificateRequest, or remove what is there"},
		},
		"a request made by a Certificate": {
			directory{"tls/a": actual(certificate("tls/a"))}.with(inputOf(request("tls/a", nil))),
			[]string{"CertificateRequest tls/a: metadata.name: tls/a in the PKI directory was made by a Certificate | rename the CertificateRequest, or remove what is there"},
		},
		"all together": {
			inputOf(certificate("tls/a", secretName("x"), ref("", "nothing")), certificate("tls/b", secretName("x"), ref("", "none"))),
			[]string{
				"Certificate tls/b: spec.secretName: Secret tls/x is already written by Certificate tls/a (in.yaml: Certificate tls/a): cert-manager would issue only one of them | give each a Secret of its own",
				"Certificate tls/a: spec.issuerRef: there is no Issuer tls/nothing | add it to the input, or let an authority stand in for it: --issuer Issuer/tls/nothing=AUTHORITY",
				"Certificate tls/b: spec.issuerRef: there is no Issuer tls/none | add it to the input, or let an authority stand in for it: --issuer Issuer/tls/none=AUTHORITY",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same(t, problems(t, test.in), test.want)
		})
	}
}

// refusals writes them short.
func refusals(p *Plan) (all []string) {
	for _, r := range p.Refused {
		all = append(all, r.Name+" <- "+r.Because+": "+r.Problem.Path+": "+r.Problem.Text+" | "+r.Problem.Hint)
	}
	return all
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	external := certificate("tls/a", ref("AWSPCAIssuer", "x"))
	external.Spec.IssuerRef.Group = "awspca.cert-manager.io"
	ecdsa := func(s *cmapi.CertificateSpec) { s.PrivateKey.Algorithm = "ECDSA" }
	jks := func(secret, key string) func(*cmapi.CertificateSpec) {
		return func(s *cmapi.CertificateSpec) {
			k := &cmapi.JKSKeystore{Create: true}
			k.PasswordSecretRef.Name, k.PasswordSecretRef.Key = secret, key
			s.Keystores = &cmapi.CertificateKeystores{JKS: k}
		}
	}
	p12 := func(s *cmapi.CertificateSpec) {
		k := &cmapi.PKCS12Keystore{Create: true}
		k.PasswordSecretRef.Name, k.PasswordSecretRef.Key = "pw", "p"
		s.Keystores = &cmapi.CertificateKeystores{PKCS12: k}
	}
	for name, test := range map[string]struct {
		in      Input
		refused []string
		actions []string
	}{
		"acme, and what depends on it": {
			inputOf(certificate("tls/leaf", ref("", "sub")), certificate("tls/fine"), certificate("tls/sub", isCA, ref("ClusterIssuer", "letsencrypt")),
				acmeIssuer("letsencrypt"), caIssuer("tls/sub", "sub-tls")),
			[]string{
				"tls/sub <- : spec.issuerRef: ClusterIssuer letsencrypt is of type acme, which cannot be had here | let an authority stand in for it: --issuer ClusterIssuer/letsencrypt=AUTHORITY",
				"tls/leaf <- tls/sub: spec.issuerRef: it depends on Certificate tls/sub, which cannot be had | ",
			},
			[]string{"create tls/fine; DoesNotExist: there is none yet"},
		},
		"vault": {
			inputOf(certificate("tls/a", ref("", "x")), issuerOf("tls/x", cmapi.IssuerConfig{Vault: &cmapi.VaultIssuer{}})),
			[]string{"tls/a <- : spec.issuerRef: Issuer tls/x is of type vault, which cannot be had here | let an authority stand in for it: --issuer Issuer/tls/x=AUTHORITY"}, nil,
		},
		"venafi": {
			inputOf(certificate("tls/a", ref("", "x")), issuerOf("tls/x", cmapi.IssuerConfig{Venafi: &cmapi.VenafiIssuer{}})),
			[]string{"tls/a <- : spec.issuerRef: Issuer tls/x is of type venafi, which cannot be had here | let an authority stand in for it: --issuer Issuer/tls/x=AUTHORITY"}, nil,
		},
		"external": {
			inputOf(external),
			[]string{"tls/a <- : spec.issuerRef: AWSPCAIssuer.awspca.cert-manager.io tls/x is an external issuer, which cannot be had here | let an authority stand in for it: --issuer AWSPCAIssuer/tls/x=AUTHORITY"}, nil,
		},
		"rotationPolicy Never, another key": {
			directory{"tls/sub": actual(certificate("tls/sub", isCA))}.with(inputOf(
				certificate("tls/sub", isCA, never, ecdsa), certificate("tls/leaf", ref("", "sub")), caIssuer("tls/sub", "sub-tls"))),
			[]string{"tls/sub <- : spec.privateKey.algorithm: the key is RSA 2048, EC P-256 is asked for, and rotationPolicy: Never keeps the key: cert-manager would wait here for a person | set spec.privateKey.rotationPolicy: Always, or ask for the key that is there"},
			[]string{"create tls/leaf; DoesNotExist: there is none yet"},
		},
		"no password": {
			inputOf(certificate("tls/a", jks("pw", "p"))),
			[]string{"tls/a <- : spec.keystores.jks.passwordSecretRef: there is no Secret tls/pw in the input to take the password from | add the Secret with the password to the input"}, nil,
		},
		"password of another namespace": {
			inputOf(certificate("tls/a", p12), secret("web/pw", nil)),
			[]string{"tls/a <- : spec.keystores.pkcs12.passwordSecretRef: there is no Secret tls/pw in the input to take the password from; there is Secret web/pw | add the Secret with the password to the input"}, nil,
		},
		"no such key": {
			inputOf(certificate("tls/a", jks("pw", "q")), certificate("tls/b", p12), secret("tls/pw", map[string][]byte{"p": []byte("x")})),
			[]string{`tls/a <- : spec.keystores.jks.passwordSecretRef: Secret tls/pw has no "q" | name one of its keys`},
			[]string{"create tls/b; DoesNotExist: there is none yet"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustMake(t, test.in)
			same(t, refusals(p), test.refused)
			same(t, lines(p), test.actions)
		})
	}
}

// Who signs, with which URLs.
func TestSigner(t *testing.T) {
	t.Parallel()
	withURLs := caIssuer("tls/x", "root-tls")
	withURLs.Spec.CA.CRLDistributionPoints, withURLs.Spec.CA.OCSPServers, withURLs.Spec.CA.IssuingCertificateURLs = []string{"crl"}, []string{"ocsp"}, []string{"aia"}
	self := selfIssuer("tls/x")
	self.Spec.SelfSigned.CRLDistributionPoints = []string{"crl"}
	root := certificate("tls/root", isCA)
	x := ref("", "x")
	clusterX := ref("ClusterIssuer", "x")
	imported := directory{"tls/root": {Authority: true, NotAfter: pkitest.Clock().Add(day)}}
	for name, test := range map[string]struct {
		in   Input
		edit func(*Input)
		want Signer
		urls pki.URLs
	}{
		"itself":                {in: inputOf(certificate("tls/a", x), self), want: Signer{SelfSigned: true}, urls: pki.URLs{CRL: []string{"crl"}}},
		"a Certificate":         {in: inputOf(certificate("tls/a", x), withURLs, root), want: Signer{Authority: "tls/root"}, urls: pki.URLs{CRL: []string{"crl"}, OCSP: []string{"ocsp"}, AIA: []string{"aia"}}},
		"cluster's Certificate": {in: inputOf(certificate("tls/a", clusterX), caIssuer("x", "root-tls"), root), edit: func(in *Input) { in.ClusterNamespace = "tls" }, want: Signer{Authority: "tls/root"}},
		"a Secret":              {in: inputOf(certificate("tls/a", x), caIssuer("tls/x", "root"), caSecret(t, "tls/root", pkitest.Root(t))), want: Signer{Authority: "tls/root"}},
		"imported before":       {in: imported.with(inputOf(certificate("tls/a", x), caIssuer("tls/x", "root"))), want: Signer{Authority: "tls/root"}},
		"remembered": {in: directory{"tls/old": {Authority: true, NotAfter: pkitest.Clock().Add(day)}}.with(inputOf(certificate("tls/a", x))), edit: func(in *Input) {
			in.Issuers = map[manifest.IssuerKey]*manifest.Issuer{{Kind: "Issuer", Key: manifest.Key{Namespace: "tls", Name: "x"}}: caIssuer("tls/x", "ca-secret")}
			in.CASecret = func(k manifest.Key) (string, bool) { return "tls/old", k.String() == "tls/ca-secret" }
		}, want: Signer{Authority: "tls/old"}},
		"the Set before what is remembered": {in: inputOf(certificate("tls/a", x), self), edit: func(in *Input) {
			in.Issuers = map[manifest.IssuerKey]*manifest.Issuer{{Kind: "Issuer", Key: self.Key}: acmeIssuer("tls/x")}
		}, want: Signer{SelfSigned: true}, urls: pki.URLs{CRL: []string{"crl"}}},
		"a stand-in": {in: imported.with(inputOf(certificate("tls/a", x), withURLs)), edit: func(in *Input) {
			in.StandIns = []StandIn{{Name: "x", Authority: "tls/root"}}
		}, want: Signer{Authority: "tls/root", StandIn: true}},
		"a Certificate as a stand-in": {in: inputOf(certificate("tls/a", x), acmeIssuer("tls/x"), root), edit: func(in *Input) {
			in.StandIns = []StandIn{{Name: "x", Authority: "tls/root"}}
		}, want: Signer{Authority: "tls/root", StandIn: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.edit != nil {
				test.edit(&test.in)
			}
			p := mustMake(t, test.in)
			for _, a := range p.Actions {
				if a.Name != "tls/a" {
					continue
				}
				test.want.URLs = test.urls
				if diff := cmp.Diff(&test.want, a.Signer); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
		})
	}
}

// Kept certificates that their authority has left behind are told, once an
// authority.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	leaf := func(name string) *manifest.Certificate { return certificate("tls/"+name, ref("", "x")) }
	objects := []any{certificate("tls/root", isCA), caIssuer("tls/x", "root-tls")}
	there := directory{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		objects = append(objects, leaf(name))
		there["tls/"+name] = actual(leaf(name), by("tls/root"))
	}
	const stale = "Certificate tls/root: authority tls/root is not the one any more that signed tls/a, tls/b, tls/c and 2 more: they keep certificate and ca.crt until they are reissued"
	for name, test := range map[string]struct {
		root *Actual
		edit func(directory)
		want []string
		// keyStays says that the root has rotationPolicy Never.
		keyStays bool
	}{
		"nothing happened":      {root: actual(certificate("tls/root", isCA))},
		"made anew":             {root: nil, want: []string{stale}},
		"reissued":              {root: actual(certificate("tls/root", isCA), func(a *Actual) { a.NotAfter = pkitest.Clock() }), want: []string{stale}},
		"renewed under its key": {root: actual(certificate("tls/root", isCA, never), func(a *Actual) { a.NotAfter = pkitest.Clock() }), keyStays: true},
		"reissued before":       {root: actual(certificate("tls/root", isCA)), edit: func(d directory) { d["tls/e"].IssuerChanged = true }, want: []string{"Certificate tls/root: authority tls/root is not the one any more that signed tls/e: they keep certificate and ca.crt until they are reissued"}},
		"signed by another": {root: actual(certificate("tls/root", isCA)), edit: func(d directory) { d["tls/e"].Issuer = "old" },
			want: []string{"Certificate tls/e: spec.issuerRef: Issuer tls/x signs with another authority now, tls/root: tls/e keep their certificates, by old, until they are reissued"}},
		"offline": {root: actual(certificate("tls/root", isCA), func(a *Actual) { a.HasKey = false }), want: []string{"Certificate tls/root: the key of tls/root is not in the PKI directory: it is kept, and signs nothing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := directory{}
			for k, v := range there {
				a := *v
				d[k] = &a
			}
			if test.root != nil {
				d["tls/root"] = test.root
			}
			if test.edit != nil {
				test.edit(d)
			}
			all := objects
			if test.keyStays {
				all = append([]any{certificate("tls/root", isCA, never)}, objects[1:]...)
			}
			same(t, warnings(mustMake(t, d.with(inputOf(all...)))), test.want)
		})
	}
}

func TestExpiredAuthority(t *testing.T) {
	t.Parallel()
	d := directory{"old": {Authority: true, NotAfter: pkitest.Clock().Add(-day)}}
	in := d.with(inputOf(certificate("tls/a", ref("", "x"))))
	in.StandIns = []StandIn{{Name: "x", Authority: "old"}}
	same(t, warnings(mustMake(t, in)), []string{"Certificate tls/a: spec.issuerRef: authority old, behind Issuer tls/x, expired on 2026-06-14 12:00:00 UTC: it signs nothing any more"})
}

func TestRemember(t *testing.T) {
	t.Parallel()
	key := func(name string) manifest.IssuerKey {
		return manifest.IssuerKey{Kind: "Issuer", Key: manifest.Key{Namespace: "tls", Name: name}}
	}
	in := inputOf(certificate("tls/a", ref("", "used")))
	in.Issuers = map[manifest.IssuerKey]*manifest.Issuer{key("used"): selfIssuer("tls/used"), key("unused"): selfIssuer("tls/unused"), key("ca"): acmeIssuer("tls/ca")}
	for _, prune := range []bool{false, true} {
		in.Prune = prune
		got := mustMake(t, in).Issuers
		if got[key("used")] == nil || got[key("ca")].Spec.SelfSigned == nil || (got[key("unused")] == nil) != prune {
			t.Errorf("prune %t: remembers %v", prune, got)
		}
	}
}

func TestActualError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for _, objects := range [][]any{
		{certificate("tls/a")},
		{request("tls/a", nil)},
		{certificate("tls/a", ref("", "x")), caIssuer("tls/x", "root"), caSecret(t, "tls/root", pkitest.Root(t))},
	} {
		in := inputOf(objects...)
		in.Actual = func(string) (*Actual, error) { return nil, broken }
		if _, err := Make(in); !errors.Is(err, broken) {
			t.Errorf("got error %v", err)
		}
	}
}

func TestIDOf(t *testing.T) {
	t.Parallel()
	c := certificate("tls/a", ref("ClusterIssuer", "x"))
	c.Spec.IssuerRef.Group = certmanager.GroupName
	if got := idOf("tls", c.Spec.IssuerRef).String(); got != "ClusterIssuer x" {
		t.Error(got)
	}
	if got := idOf("tls", certificate("tls/a").Spec.IssuerRef).String(); got != "Issuer tls/ca" {
		t.Error(got)
	}
}
