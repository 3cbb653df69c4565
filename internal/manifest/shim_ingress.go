package manifest

import (
	"fmt"
	"strconv"

	networkingv1 "k8s.io/api/networking/v1"
)

// tlsACME asks for a certificate from the default issuer that cert-manager has
// been started with.
const tlsACME = "kubernetes.io/tls-acme"

// fromIngress returns a Certificate for each entry of spec.tls, if the
// annotations ask for any.
func fromIngress(o *object, in *networkingv1.Ingress) []*Certificate {
	s := newShim(o, in.Annotations)
	if s == nil {
		if on, _ := strconv.ParseBool(in.Annotations[tlsACME]); on && len(o.problems) == 0 {
			o.warn(annotation(tlsACME), "asks cert-manager's default issuer, which no manifest names, so nothing is issued for it: add the annotation cert-manager.io/cluster-issuer or cert-manager.io/issuer")
		}
		return nil
	}
	first := make(map[string]string)
	for i, t := range in.Spec.TLS {
		path := fmt.Sprintf("spec.tls[%d].secretName", i)
		if before, ok := first[t.SecretName]; ok {
			o.problem(path, "write one entry with the hosts of both", "%q is named in %s already, and cert-manager then makes nothing for the whole Ingress", t.SecretName, before)
			continue
		}
		first[t.SecretName] = path
		switch {
		case len(t.Hosts) == 0:
			o.warn(fmt.Sprintf("spec.tls[%d]", i), "has no hosts, so no certificate is made for it")
			continue
		case t.SecretName == "":
			o.warn(fmt.Sprintf("spec.tls[%d]", i), "has no secretName, so no certificate is made for it")
			continue
		}
		w := wanted{secret: t.SecretName, path: path}
		for j, h := range t.Hosts {
			w.hosts = append(w.hosts, host{h, fmt.Sprintf("spec.tls[%d].hosts[%d]", i, j)})
		}
		s.add(w)
	}
	return s.certificates()
}
