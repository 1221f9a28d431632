#!/usr/bin/env bash
# Runs a command beside a throw-away SLURM cluster on this machine, and takes the cluster down however it ends:
#
#   tools/slurm/with_cluster.sh COMMAND...
#
# Two virtual nodes, n1 and n2, of four CPUs each, in the partitions
#   main      the default; its jobs are requeued for those of `urgent`, at once
#   graceful  the same, with a warning 20 s before
#   urgent    its jobs go first
#   closed    takes no job
#   theirs    for the account `physics` only
# Each node has one "GPU", a device file that computes nothing: SLURM hands it out as it does real ones.
# Everything lies in build/slurm and is found through SLURM_CONF: nothing outside is written or changed, a SLURM that
# this machine may have is neither used nor touched. No accounting (sacct does not work), no memory limits.
# As root on Debian or Ubuntu it installs the programs it lacks; elsewhere it prints the line to run.
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

DIR="$ROOT/build/slurm"
HOST="$(hostname -s)"
USER_NAME="$(id -un)"
NODES=(n1 n2)
WAIT_S=60
export PATH="$PATH:/usr/sbin:/sbin"
(($# > 0)) || die "usage: tools/slurm/with_cluster.sh COMMAND..."

install_programs() {
  local -a missing=() install
  local item
  for item in slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client munged:munge; do
    command -v "${item%%:*}" >/dev/null || missing+=("${item##*:}")
  done
  ((${#missing[@]} == 0)) && return
  install=(apt-get install -y --no-install-recommends "${missing[@]}")
  if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
    die "missing: ${missing[*]}. Run this line (or bring them as this system does), then the same command again:
  sudo ${install[*]}"
  fi
  export DEBIAN_FRONTEND=noninteractive
  step "Missing: ${missing[*]}. Refreshing the list of packages" apt-get update
  step "Running ${install[*]}" "${install[@]}"
}

# Whether the process in a pid file is alive, and one of ours.
ours() { # ours PIDFILE
  [[ -s "$1" ]] && tr '\0' ' ' <"/proc/$(<"$1")/cmdline" 2>/dev/null | grep -qF "$DIR"
}

stop() { # stop PIDFILE
  local pid
  ours "$1" || return 0
  pid="$(<"$1")"
  kill -TERM "$pid" 2>/dev/null || true
  for _ in {1..50}; do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

stop_all() {
  local node pid
  if ours "$DIR/slurmctld.pid"; then
    timeout 10 scancel --quiet --full --user="$USER_NAME" 2>/dev/null || true
    timeout 10 scancel --quiet --signal=KILL --user="$USER_NAME" 2>/dev/null || true
    for _ in {1..30}; do
      [[ -z "$(timeout 5 squeue --noheader 2>/dev/null)" ]] && break
      sleep 0.2
    done
  fi
  for node in "${NODES[@]}"; do stop "$DIR/slurmd.$node.pid"; done
  stop "$DIR/slurmctld.pid"
  stop "$DIR/munged.pid"
  # Whoever watches over a job outlives slurmd.
  for pid in $(pgrep -x slurmstepd || true); do
    if grep -qzF "SLURM_CONF=$DIR/slurm.conf" "/proc/$pid/environ" 2>/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
  done
}

free_port() { # free_port FIRST: the first of ten ports in a row that nobody listens on
  local base="$1" port
  while :; do
    for ((port = base; port < base + 10; ++port)); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        base=$((port + 1))
        continue 2
      fi
    done
    echo "$base"
    return
  done
}

configure_cluster() {
  local port="$1"
  cat >"$DIR/slurm.conf" <<CONF
ClusterName=throwaway
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=$USER_NAME
SlurmdUser=$USER_NAME
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$DIR/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool.%n
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd.%n.pid
SlurmctldLogFile=$DIR/slurmctld.log
SlurmdLogFile=$DIR/slurmd.%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
EnforcePartLimits=ALL
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1,requeue_delay=1
MaxArraySize=3
MaxJobCount=1000
KillWait=10
MinJobAge=300
InactiveLimit=0
OverTimeLimit=0
SlurmctldTimeout=30
SlurmdTimeout=30
GresTypes=gpu
NodeName=DEFAULT CPUs=4 RealMemory=8000 Gres=gpu:1 State=UNKNOWN
NodeName=n1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((port + 2))
NodeName=n2 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((port + 3))
PartitionName=main Nodes=n[1-2] Default=YES PriorityTier=10
PartitionName=graceful Nodes=n[1-2] PriorityTier=10 GraceTime=20
PartitionName=urgent Nodes=n[1-2] PriorityTier=100 PreemptMode=OFF
PartitionName=closed Nodes=n[1-2] State=INACTIVE
PartitionName=theirs Nodes=n[1-2] AllowAccounts=physics
CONF
  echo "NodeName=n[1-2] Name=gpu File=/dev/null" >"$DIR/gres.conf"
}

start_all() {
  local node
  install -d -m 0755 "$DIR/state" "$DIR/munge"
  (umask 077 && head -c 128 /dev/urandom >"$DIR/munge/key")
  munged --force --socket="$DIR/munge.socket" --key-file="$DIR/munge/key" --pid-file="$DIR/munged.pid" \
    --log-file="$DIR/munged.log" --seed-file="$DIR/munge/seed" --num-threads=2 2>>"$DIR/munged.log"
  slurmctld -c -f "$DIR/slurm.conf" 2>>"$DIR/slurmctld.log"
  for node in "${NODES[@]}"; do
    install -d "$DIR/spool.$node"
    slurmd -N "$node" -f "$DIR/slurm.conf" 2>>"$DIR/slurmd.$node.log"
  done
}

await_nodes() {
  local end=$((SECONDS + WAIT_S))
  while ((SECONDS < end)); do
    [[ "$(timeout 5 sinfo --noheader --Node --partition=main --states=idle --format=%N 2>/dev/null | wc -l)" == "${#NODES[@]}" ]] &&
      return
    sleep 0.3
  done
  tail -n 20 "$DIR"/*.log >&2
  die "the cluster did not come up within $WAIT_S s"
}

install_programs
export SLURM_CONF="$DIR/slurm.conf"
stop_all # what a run before this one left, where it was killed
rm -rf "$DIR"
install -d -m 0755 "$DIR"
configure_cluster "$(free_port 26810)"
trap '[[ -z "${child:-}" ]] || kill -TERM "$child" 2>/dev/null || true; stop_all' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_all
await_nodes
say "SLURM $(sinfo --version | cut -d ' ' -f 2): ${NODES[*]} are up after $SECONDS s"
status=0
"$@" & # a trap waits for what runs in the foreground
child=$!
wait "$child" || status=$?
child=
exit "$status"
