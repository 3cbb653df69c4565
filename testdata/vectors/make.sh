#!/bin/sh
# Makes the vectors of this folder anew with OpenSSL 3, every key new. The tests
# do not run it: they read what it left.
set -eu
cd "$(dirname "$0")"
mkdir -p csr key cert
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

ec() { openssl genpkey -quiet -algorithm EC -pkeyopt "ec_paramgen_curve:$1" -pkeyopt ec_param_enc:named_curve -out "$2"; }

# request NAME KEY SUBJECT [EXTENSION...]: csr/NAME.pem
request() {
	name=$1 key=$2 subject=$3
	shift 3
	for ext; do
		set -- "$@" -addext "$ext"
		shift
	done
	openssl req -new -utf8 -key "$key" -subj "$subject" "$@" -out "csr/$name.pem"
}

ec P-256 "$tmp/p256"
request everything "$tmp/p256" '/C=DE/ST=Bayern/L=Ort/O=Acme/OU=Web/CN=api.example.com/serialNumber=7/emailAddress=a@example.com' \
	'subjectAltName=DNS:api.example.com,IP:10.0.0.7,IP:2001:db8::7,email:a@example.com,URI:https://example.com/id,URI:spiffe://example.org/api' \
	'keyUsage=digitalSignature' 'extendedKeyUsage=codeSigning' 'tlsfeature=status_request' 'basicConstraints=CA:FALSE' '1.3.6.1.4.1.99999.1=DER:0500'
openssl req -in csr/everything.pem -outform DER -out csr/everything.der
request new-header "$tmp/p256" /CN=api.example.com
sed 's/ CERTIFICATE REQUEST/ NEW CERTIFICATE REQUEST/' csr/new-header.pem >"$tmp/new" && mv "$tmp/new" csr/new-header.pem
request two-common-names "$tmp/p256" /CN=first.example.com/CN=second.example.com
request asks-ca-basic-constraints "$tmp/p256" /CN=sub 'basicConstraints=critical,CA:TRUE'
request asks-ca-key-usage "$tmp/p256" /CN=sub 'keyUsage=critical,keyCertSign'
request other-names "$tmp/p256" /CN=api 'subjectAltName=DNS:api.example.com,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@example.com,RID:1.2.3'
request bad-dns-name "$tmp/p256" /CN=api 'subjectAltName=DNS:10.0.0.7'
request empty "$tmp/p256" /

# An attribute that is no extension request.
cat >"$tmp/challenge.cnf" <<'CNF'
[req]
prompt = no
distinguished_name = dn
attributes = attrs
[dn]
CN = api.example.com
[attrs]
challengePassword = not-a-secret
CNF
openssl req -new -config "$tmp/challenge.cnf" -key "$tmp/p256" -out csr/challenge-password.pem

# The last byte of the signature is another one.
openssl req -in csr/everything.pem -outform DER -out "$tmp/der"
size=$(wc -c <"$tmp/der")
last=$(tail -c 1 "$tmp/der" | od -An -tu1 | tr -d ' ')
{ head -c $((size - 1)) "$tmp/der"; printf "\\$(printf %o $(((last + 1) % 256)))"; } >"$tmp/bad"
{ echo '-----BEGIN CERTIFICATE REQUEST-----'; base64 -w 64 "$tmp/bad"; echo '-----END CERTIFICATE REQUEST-----'; } >csr/bad-signature.pem

ec P-224 "$tmp/p224"
request p224 "$tmp/p224" /CN=weak
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out "$tmp/rsa1024"
request rsa-1024 "$tmp/rsa1024" /CN=weak
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 -out "$tmp/rsae3"
request rsa-exponent-3 "$tmp/rsae3" /CN=weak
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2560 -out "$tmp/rsa2560"
request rsa-2560 "$tmp/rsa2560" /CN=odd
openssl genpkey -quiet -algorithm ED448 -out "$tmp/ed448"
request ed448 "$tmp/ed448" /CN=other

# Keys as programs write them.
openssl ecparam -name prime256v1 -genkey -out key/ec-with-parameters.pem
openssl ec -in key/ec-with-parameters.pem -out key/ec-sec1.pem
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key/rsa-pkcs8.pem
openssl rsa -in key/rsa-pkcs8.pem -traditional -out key/rsa-pkcs1.pem
openssl rsa -in key/rsa-pkcs8.pem -traditional -aes256 -passout pass:secret -out key/rsa-pkcs1-encrypted.pem
openssl pkcs8 -topk8 -in key/ec-sec1.pem -v2 aes-256-cbc -v2prf hmacWithSHA256 -passout pass:secret -out key/ec-pkcs8-encrypted.pem
openssl genpkey -quiet -algorithm ED25519 -out key/ed25519-pkcs8.pem
openssl pkey -in key/ed25519-pkcs8.pem -pubout -out key/public.pem
openssl genpkey -quiet -algorithm X25519 -out key/x25519.pem
cp "$tmp/ed448" key/ed448.pem

# Certificates as programs write them.
openssl req -x509 -new -key "$tmp/p256" -subj /CN=one -days 36500 -text -out cert/with-text.pem
openssl x509 -in cert/with-text.pem -trustout -addtrust serverAuth -out cert/trusted.pem
openssl x509 -in cert/with-text.pem -outform DER -out cert/one.der
chmod 644 csr/* key/* cert/*
