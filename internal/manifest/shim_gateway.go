package manifest

import (
	"fmt"
	"slices"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// fromGateway returns a Certificate for each Secret that TLS listeners refer to,
// if the annotations ask for any.
func fromGateway(o *object, g *gatewayv1.Gateway) []*Certificate {
	s := newShim(o, g.Annotations)
	if s == nil {
		return nil
	}
	var all []wanted
	for i := range g.Spec.Listeners {
		l := &g.Spec.Listeners[i]
		path := fmt.Sprintf("spec.listeners[%d]", i)
		if l.Protocol != gatewayv1.HTTPSProtocolType && l.Protocol != gatewayv1.TLSProtocolType || ignored(g.Annotations, l.Name) {
			continue
		}
		if why, quiet := unfit(o, l); why != "" {
			if !quiet {
				o.warn(path, "%s, so no certificate is made for it", why)
			}
			continue
		}
		for j, ref := range l.TLS.CertificateRefs {
			h := host{string(*l.Hostname), path + ".hostname"}
			k := slices.IndexFunc(all, func(w wanted) bool { return w.secret == string(ref.Name) })
			if k < 0 {
				k = len(all)
				all = append(all, wanted{secret: string(ref.Name), path: fmt.Sprintf("%s.tls.certificateRefs[%d].name", path, j)})
			}
			all[k].hosts = append(all[k].hosts, h)
		}
	}
	for _, w := range all {
		s.add(w)
	}
	return s.certificates()
}

func ignored(annotations map[string]string, name gatewayv1.SectionName) bool {
	for n := range strings.SplitSeq(annotations[cmapi.CertificateIgnoreTLSListeners], ",") {
		if strings.TrimSpace(n) == string(name) {
			return name != ""
		}
	}
	return false
}

// unfit says why a TLS listener gets no certificate; quiet if it wants none. The
// defaults of the Gateway API's schema are reckoned with.
func unfit(o *object, l *gatewayv1.Listener) (why string, quiet bool) {
	mode := gatewayv1.TLSModeTerminate
	if l.TLS != nil && l.TLS.Mode != nil {
		mode = *l.TLS.Mode
	}
	switch {
	case mode == gatewayv1.TLSModePassthrough:
		return "passes TLS through", true
	case mode != gatewayv1.TLSModeTerminate:
		return fmt.Sprintf("has the TLS mode %q", mode), false
	case l.Hostname == nil || *l.Hostname == "":
		return "has no hostname", false
	case l.TLS == nil || len(l.TLS.CertificateRefs) == 0:
		return "refers to no Secret in tls.certificateRefs", false
	}
	for _, ref := range l.TLS.CertificateRefs {
		switch {
		case ref.Group != nil && *ref.Group != "" && *ref.Group != "core",
			ref.Kind != nil && *ref.Kind != "" && *ref.Kind != "Secret":
			return "refers to something else than a Secret", false
		case ref.Namespace != nil && string(*ref.Namespace) != o.Namespace:
			return fmt.Sprintf("refers to a Secret of another namespace, %s", *ref.Namespace), false
		}
	}
	return "", false
}
