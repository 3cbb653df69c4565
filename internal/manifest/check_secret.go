package manifest

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// checkSecret finds what the API server refuses in a Secret. What its contents
// are good for is for those to say who use them.
func checkSecret(o *object, s *Secret) {
	size := 0
	for _, k := range slices.Sorted(maps.Keys(s.Data)) {
		size += len(s.Data[k])
		if len(validation.IsConfigMapKey(k)) > 0 {
			o.problem("data["+k+"]", "", "%q is no key for a Secret: letters, digits, -, _ and . only, 253 in all", k)
		}
	}
	if size > corev1.MaxSecretSize {
		o.problem("data", "", "it has %d bytes, and a Secret holds %d", size, corev1.MaxSecretSize)
	}
	if s.Type != string(corev1.SecretTypeTLS) {
		return
	}
	for _, k := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if _, ok := s.Data[k]; !ok {
			o.problem("data["+k+"]", "", "is missing, and a Secret of type %s has it", s.Type)
		}
	}
}
