# shellcheck shell=bash
# Debian packages, where this may install them. Sourced, not run; whoever sources it has `say` and `die`.

# install_packages NAME…: nothing where none is named; else as root, or in one sentence what root has to do.
install_packages() {
  local missing=$* root=()
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "install these first, this machine has no apt: $missing"
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
      die "these are missing and only root may install them: sudo apt-get install $missing"
    root=(sudo -n)
  fi
  say "apt-get install $missing"
  "${root[@]}" apt-get -q -o Acquire::Retries=5 update >&2 || die "apt-get update failed (its message is above)"
  # shellcheck disable=SC2086 # a list of names
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o Acquire::Retries=5 install $missing >&2 ||
    die "apt-get could not install: $missing (its message is above)"
}
