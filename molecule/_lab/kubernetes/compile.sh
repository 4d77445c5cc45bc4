#!/usr/bin/env bash
# Runs in the builder image: Debian's source package of Kubernetes -> static binaries in /out.
set -euo pipefail

version=$1
programs=(kubelet kubeadm kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy)

mkdir -p /build
cd /build
apt-get update -q
apt-get source -q --only-source kubernetes
tree=$(find /build -maxdepth 1 -type d -name 'kubernetes-*')

# reflect2 1.0.1, vendored there, reads map internals that Go 1.18 changed: kubeadm and kubelet panic on YAML.
rm -rf "$tree/vendor/github.com/modern-go/reflect2"
cp -rL /usr/share/gocode/src/github.com/modern-go/reflect2 "$tree/vendor/github.com/modern-go/reflect2"

export GOPATH=/build/go GO111MODULE=off CGO_ENABLED=0 GOFLAGS=-trimpath
mkdir -p "$GOPATH/src/k8s.io"
ln -s "$tree" "$GOPATH/src/k8s.io/kubernetes"
cd "$GOPATH/src/k8s.io/kubernetes"
echo "generated code, $SECONDS s"
# The only generated file that upstream's tree leaves out; the others would be made again as they are.
make gen_openapi

# Without these four, everything calls itself v0.0.0 and kubeadm refuses to work.
number=${version#v}
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    variable=k8s.io/kubernetes/vendor/$package
    ldflags+=" -X $variable.gitVersion=$version -X $variable.gitMajor=${number%%.*}"
    ldflags+=" -X $variable.gitMinor=$(echo "$number" | cut -d. -f2) -X $variable.gitTreeState=clean"
done

echo "programs, $SECONDS s"
# providerless: upstream's own tag that leaves the in-tree cloud providers out, and half of the compile time with them.
go build -tags providerless -ldflags "$ldflags" -o /out/ "${programs[@]/#/k8s.io/kubernetes/cmd/}"
/out/kubelet --version
/out/kubeadm version -o short
echo "done, $SECONDS s"
