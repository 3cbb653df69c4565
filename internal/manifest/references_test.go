package manifest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func refsOf(kind, text string) ([]string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	var all []string
	for _, r := range references(testObject(kind), doc.Content[0]) {
		all = append(all, fmt.Sprintf("%d %s %s %s", r.Line, r.Path, r.Secret, r.DataKey))
	}
	return all, nil
}

const podSpec = `
    volumes:
    - name: plain
      emptyDir: {}
    - name: tls
      secret: {secretName: all}
    - name: maybe
      secret: {secretName: maybe, optional: true}
    - name: some
      secret:
        secretName: some
        items:
        - {key: ca.crt, path: ca.pem}
        - {key: tls.crt, path: tls.pem}
    - name: projected
      projected:
        sources:
        - configMap: {name: x}
        - secret: {name: part, items: [{key: tls.key, path: k}]}
        - secret: {name: whole}
    imagePullSecrets: [{name: pull}]
    containers:
    - name: web
      env:
      - {name: A, value: secretName}
      - {name: B, valueFrom: {secretKeyRef: {name: env, key: password}}}
      - {name: C, valueFrom: {secretKeyRef: {name: env, key: password, optional: true}}}
      envFrom:
      - configMapRef: {name: x}
      - secretRef: {name: from}
    initContainers:
    - envFrom: [{secretRef: {name: maybe, optional: true}}]
      env: [{name: D, valueFrom: {secretKeyRef: {name: init, key: k}}}]
`

func TestReferences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind, text string
		want             []string
	}{
		{"pod", "Deployment", "apiVersion: apps/v1\nspec:\n  template:\n   spec:" + podSpec, []string{
			"9 spec.template.spec.volumes[1].secret.secretName shop/all ",
			"16 spec.template.spec.volumes[3].secret.items[0].key shop/some ca.crt",
			"17 spec.template.spec.volumes[3].secret.items[1].key shop/some tls.crt",
			"22 spec.template.spec.volumes[4].projected.sources[1].secret.items[0].key shop/part tls.key",
			"23 spec.template.spec.volumes[4].projected.sources[2].secret.name shop/whole ",
			"29 spec.template.spec.containers[0].env[1].valueFrom.secretKeyRef.name shop/env password",
			"33 spec.template.spec.containers[0].envFrom[1].secretRef.name shop/from ",
			"36 spec.template.spec.initContainers[0].env[0].valueFrom.secretKeyRef.name shop/init k",
		}},
		{"pod of an operator", "Kafka", "apiVersion: kafka.strimzi.io/v1\nspec: {pods: {\"a.b\": [{volumes: [{secret: {secretName: x}}]}]}}", []string{"2 spec.pods[a.b][0].volumes[0].secret.secretName shop/x "}},
		{"metadata", "Pod", "apiVersion: v1\nmetadata: {volumes: [{secret: {secretName: x}}]}", nil},
		{"secret", "Secret", "apiVersion: v1\nx: {volumes: [{secret: {secretName: x}}]}", nil},
		{"certificate", "Certificate", "apiVersion: cert-manager.io/v1\nspec: {volumes: [{secret: {secretName: x}}]}", nil},
		{"definition", "CustomResourceDefinition", "apiVersion: apiextensions.k8s.io/v1\nspec: {volumes: [{secret: {secretName: x}}]}", nil},
		{"ingress", "Ingress", `apiVersion: networking.k8s.io/v1
metadata:
  annotations:
    nginx.ingress.kubernetes.io/auth-tls-secret: edge/clients-ca
    nginx.ingress.kubernetes.io/proxy-ssl-secret: backend
spec:
  tls: [{secretName: a}, {hosts: [x]}, {secretName: ""}]`, []string{
			"7 spec.tls[0].secretName shop/a ",
			"4 metadata.annotations[nginx.ingress.kubernetes.io/auth-tls-secret] edge/clients-ca ",
			"5 metadata.annotations[nginx.ingress.kubernetes.io/proxy-ssl-secret] shop/backend ",
		}},
		{"gateway", "Gateway", `apiVersion: gateway.networking.k8s.io/v1
spec:
  listeners:
  - tls: {certificateRefs: [{name: a}, {kind: Secret, group: "", name: b, namespace: other}, {kind: ConfigMap, name: c}, {group: x.io, name: d}]}
  - name: plain
  tls: {backend: {clientCertificateRef: {name: e}}}`, []string{
			"4 spec.listeners[0].tls.certificateRefs[0].name shop/a ",
			"4 spec.listeners[0].tls.certificateRefs[1].name other/b ",
			"6 spec.tls.backend.clientCertificateRef.name shop/e ",
		}},
		{"istio", "Gateway", "apiVersion: networking.istio.io/v1beta1\nspec: {servers: [{tls: {mode: MUTUAL, credentialName: server-tls}}, {tls: {credentialNames: [a, b]}}]}", []string{
			"2 spec.servers[0].tls.credentialName shop/server-tls ",
			"2 spec.servers[1].tls.credentialNames[0] shop/a ",
			"2 spec.servers[1].tls.credentialNames[1] shop/b ",
		}},
		{"istio's rule", "DestinationRule", "apiVersion: networking.istio.io/v1\nspec: {trafficPolicy: {tls: {credentialName: a}}}", []string{"2 spec.trafficPolicy.tls.credentialName shop/a "}},
		{"apisix", "ApisixTls", "apiVersion: apisix.apache.org/v2\nspec: {secret: {name: a, namespace: tls}, client: {caSecret: {name: b, namespace: tls}, depth: 1}}", []string{
			"2 spec.secret.name tls/a ", "2 spec.client.caSecret.name tls/b "}},
		{"traefik", "TLSOption", "apiVersion: traefik.io/v1alpha1\nspec: {clientAuth: {secretNames: [a, b]}}", []string{"2 spec.clientAuth.secretNames[0] shop/a ", "2 spec.clientAuth.secretNames[1] shop/b "}},
		{"traefik's route", "IngressRoute", "apiVersion: traefik.containo.us/v1alpha1\nspec: {tls: {secretName: a}}", []string{"2 spec.tls.secretName shop/a "}},
		{"azure", "FrontendTLSPolicy", "apiVersion: alb.networking.azure.io/v1\nspec: {default: {verify: {caCertificateRef: {name: ca.bundle, kind: Secret, namespace: test-infra}}}}", []string{
			"2 spec.default.verify.caCertificateRef.name test-infra/ca.bundle "}},
		{"odd shapes", "Pod", "apiVersion: [v1]\nspec: {volumes: [x, {secret: [a]}, {secret: {secretName: {a: b}}}, {projected: {sources: 1}}], env: [1, {valueFrom: 1}], envFrom: {a: b}}", nil},
		{"odd ingress", "Ingress", "apiVersion: networking.k8s.io/v1\nmetadata: 1\nspec: {tls: {secretName: a}}", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := refsOf(c.kind, c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever the tree is, walking it comes to an end, and every place that is
// found has a name and a line.
func FuzzReferences(f *testing.F) {
	for _, kind := range []string{"Ingress", "Gateway", "Pod", "ApisixTls", "TLSOption"} {
		f.Add(kind, "apiVersion: networking.k8s.io/v1\nspec:"+podSpec)
		f.Add(kind, "apiVersion: networking.istio.io/v1\nspec: {servers: [{tls: {credentialName: a}}]}")
		f.Add(kind, "- volumes:\n  - {secret: {secretName: a}}")
	}
	f.Fuzz(func(t *testing.T, kind, text string) {
		root, fault := parse(document{text: []byte(text), line: 1, index: 1})
		if fault != nil || root == nil {
			return
		}
		for _, r := range references(testObject(kind), root) {
			if r.Secret.Name == "" || r.Secret.Namespace == "" || r.Line == 0 || r.Path == "" {
				t.Errorf("%+v", r)
			}
		}
	})
}
