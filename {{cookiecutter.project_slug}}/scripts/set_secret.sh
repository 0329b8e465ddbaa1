#!/bin/sh
# Set a secret in the vault from outside its network, which keeps everybody out: open the vault for this machine's
# address alone, set the secret, and close the vault again, whatever happens in between.
#
#   scripts/set_secret.sh VAULT SECRET                              asks for the value
#   openssl rand -base64 32 | scripts/set_secret.sh VAULT SECRET    takes it from a pipe
#
# It needs an `az login` with the rights to change the vault (Key Vault Contributor) and to set secrets. In the network
# nothing has to be opened: there `az keyvault secret set` does it.
set -eu

if [ "$#" -ne 2 ]; then
    echo "usage: $0 VAULT SECRET" >&2
    exit 2
fi
vault=$1
secret=$2
shift 2 # From here on, "$@" are the addresses that were let in.

trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The value is no argument of any program, where others on this machine could see it.
if [ -t 0 ]; then
    trap 'stty echo' EXIT
    printf 'Value of %s: ' "$secret" >&2
    stty -echo
    IFS= read -r value
    stty echo
    printf '\n' >&2
    trap - EXIT
else
    value=$(cat)
fi
if [ -z "$value" ]; then
    echo "There is no value to set." >&2
    exit 2
fi

close() {
    status=$?
    trap - EXIT
    trap '' HUP INT TERM # Nor does a second Ctrl-C leave it open.
    echo "Closing $vault." >&2
    closed=yes
    az keyvault update --name "$vault" --public-network-access Disabled --output none || closed=no
    if [ "$#" -gt 0 ]; then
        az keyvault network-rule remove --name "$vault" --ip-address "$@" --output none || closed=no
    fi
    if [ "$closed" = no ]; then
        echo "$vault MAY STILL BE OPEN for this machine's address. Close it with" >&2
        echo "  az keyvault update --name $vault --public-network-access Disabled" >&2
        exit 1
    fi
    exit "$status"
}

put() {
    printf '%s' "$value" |
        az keyvault secret set --vault-name "$vault" --name "$secret" --file /dev/stdin --output none 2>&1
}

trap 'close "$@"' EXIT
echo "Opening $vault for this machine's address." >&2
az keyvault update --name "$vault" --default-action Deny --public-network-access Enabled --output none

# The vault itself tells which address it sees. That it lets this one in can take some minutes.
tries=0
until said=$(put); do
    address=$(printf '%s\n' "$said" | sed -n 's/.*Client address: \([0-9.]*\).*/\1/p' | head -n 1)
    case "$said" in
        *ForbiddenByFirewall* | *ForbiddenByConnection*) ;;
        *) tries=60 ;;
    esac
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        printf '%s\n' "$said" >&2
        exit 1
    fi
    case " $* " in
        *" ${address:-$*} "*) ;; # No address is told, or one that is let in already.
        *)
            set -- "$@" "$address"
            az keyvault network-rule add --name "$vault" --ip-address "$address" --output none
            ;;
    esac
    sleep 10
done
echo "$secret is set." >&2
