"""The build of an image inside the build's sandbox: buildah, without a daemon and without the host's root.

It runs as the root of a range of users of its own (`Plan.image`), so that a Dockerfile may change users and owners.
Base images come from the operator's OCI layouts by their names, else from the operator's registry. The result is a
folder with the image's files and one file that describes it; `images` reads both.
"""

from __future__ import annotations

LAYOUTS = "/opt/havre/images"  # where the operator's layouts are shown
IMAGE_FOLDER, ROOT, DESCRIPTION = ".havre-image", "root", "image.json"

# $1 the Dockerfile, then the names of the build arguments, whose values buildah takes from the environment
BUILD = f"""
set -eu
file=$1
shift
conf=/tmp/containers
mkdir -p "$conf" "$HOME/.cache/tmp"
cat > "$conf/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$HOME/.cache/containers"
runroot = "$conf/run"
END
registry=${{HAVRE_REGISTRY:-}}
{{
  echo 'short-name-mode = "disabled"'
  if [ -z "$registry" ] || [ "$registry" = docker.io ]; then
    echo 'unqualified-search-registries = ["docker.io"]'
  else
    printf 'unqualified-search-registries = ["%s", "docker.io"]\\n' "$registry"
    printf '[[registry]]\\nprefix = "docker.io"\\nlocation = "%s"\\ninsecure = %s\\n' "$registry" "$HAVRE_INSECURE"
    printf '[[registry]]\\nlocation = "%s"\\ninsecure = %s\\n' "$registry" "$HAVRE_INSECURE"
  fi
}} > "$conf/registries.conf"
echo '{{}}' > "$conf/auth.json"
export CONTAINERS_STORAGE_CONF="$conf/storage.conf" CONTAINERS_REGISTRIES_CONF="$conf/registries.conf"
export REGISTRY_AUTH_FILE="$conf/auth.json" TMPDIR="$HOME/.cache/tmp" BUILDAH_ISOLATION=chroot
export _CONTAINERS_USERNS_CONFIGURED=done _CONTAINERS_ROOTLESS_UID=1000 XDG_RUNTIME_DIR="$conf"
if [ -n "${{CC_DOCKER_LOGIN_USERNAME:-}}" ]; then
  printf %s "${{CC_DOCKER_LOGIN_PASSWORD:-}}" | buildah login --username "$CC_DOCKER_LOGIN_USERNAME" \\
    --password-stdin "${{CC_DOCKER_LOGIN_SERVER:-docker.io}}"
fi
pull=false
[ -n "$registry" ] || [ -n "${{CC_DOCKER_LOGIN_USERNAME:-}}" ] || pull=never
# the images that the Dockerfile begins with; those with a variable in their name are left to the registry
bases() {{
  sed -n 's/^[[:space:]]*[Ff][Rr][Oo][Mm][[:space:]]//p' "$file" | while read -r first second _; do
    case $first in --*) first=$second ;; esac
    case $first in *'$'* | scratch) ;; *) echo "$first" ;; esac
  done
}}
for name in $(bases); do
  plain=${{name#docker.io/}}
  plain=${{plain#library/}}
  case ${{plain##*/}} in *:*) path=${{plain%:*}} tag=${{plain##*:}} ;; *) path=$plain tag=latest ;; esac
  if [ -f "{LAYOUTS}/$path/index.json" ]; then
    echo "FROM $name: {LAYOUTS}/$path, tag $tag"
    id=$(buildah pull -q "oci:{LAYOUTS}/$path:$tag")
    case $path in */*) full=$path ;; *) full=docker.io/library/$path ;; esac
    buildah tag "$id" "$full:$tag"
  fi
done
arguments=''
for name in "$@"; do arguments="$arguments --build-arg $name"; done
buildah build --layers --pull="$pull" --format oci --file "$file" $arguments --tag havre-app .
rm -rf "$APP_HOME/{IMAGE_FOLDER}"
mkdir "$APP_HOME/{IMAGE_FOLDER}"
container=$(buildah from --pull-never havre-app)
cp -a "$(buildah mount "$container")" "$APP_HOME/{IMAGE_FOLDER}/{ROOT}"
cd "$APP_HOME/{IMAGE_FOLDER}/{ROOT}"
for name in dev etc proc sys tmp; do [ -e "$name" ] || mkdir "$name"; done
for name in hosts hostname resolv.conf; do
  [ -L etc ] || [ -L "etc/$name" ] || [ -e "etc/$name" ] || : > "etc/$name"
done
buildah inspect --type image havre-app > "$APP_HOME/{IMAGE_FOLDER}/{DESCRIPTION}"
buildah rm "$container" > /dev/null
"""
