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
# The compiler takes a quarter less time where it need not look for garbage so often; it takes some GB for that.
if [ "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)" -gt 8000000 ]; then export GOGC=400; fi
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
# The linker throws DWARF away (-s -w), so none need be made.
go build -tags providerless -gcflags=all=-dwarf=false -ldflags "$ldflags" -o /out/ "${programs[@]/#/k8s.io/kubernetes/cmd/}"
/out/kubelet --version
/out/kubeadm version -o short
echo "done, $SECONDS s"
