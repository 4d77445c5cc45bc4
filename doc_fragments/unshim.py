"""What the documentation of several modules has in common; the modules name it in ``extends_documentation_fragment``.

A module that says more of an option or attribute repeats its name with what differs: the module's own keys win.
"""


class ModuleDocFragment:
    # unshim.attributes: every module's.
    ATTRIBUTES = r"""
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run indicates no change.
    support: full
"""

    # unshim.action: the modules that are documentation only, of an action of the same name.
    ACTION = r"""
attributes:
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
"""

    # unshim.node: the modules that run on a node.
    NODE = r"""
attributes:
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
requirements:
  - Python 3.6 or later on the node
"""

    # unshim.journal: module_run.JOURNAL_ROOT_OPTION of unshim_node.
    JOURNAL = r"""
options:
  journal_root:
    description: Directory of the node's journal.
    type: path
    default: /var/lib/unshim
"""

    # unshim.files: module_run.FILES_OPTION of unshim_node.
    FILES = r"""
options:
  files:
    description: The plan's file changes.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      before:
        description: Its content when the plan was made; none if it was not there.
        type: str
      after:
        description: Its content to be; none removes it.
        type: str
      mode:
        description: Permission bits, octal.
        type: str
        default: '0644'
      owner:
        description: Owner, a name or number.
        type: str
        default: root
      group:
        description: Group, a name or number.
        type: str
        default: root
      role:
        description: What the file is for; says who has to be restarted for it, and who restores it.
        type: str
        default: other
      secret:
        description: Whether its content must not be shown.
        type: bool
        default: false
      stage:
        description: The plan's stage. Not used.
        type: str
        default: prepare
      reason:
        description: Why the plan holds the file. Not used.
        type: str
        default: ''
attributes:
  diff_mode:
    details: Content of secret files is left out.
  safe_file_operations:
    description: Uses safe, atomic writes.
    support: full
"""

    # unshim.kubernetes: module_run.KUBERNETES_OPTIONS of unshim_kube.
    KUBERNETES = r"""
options:
  node_name:
    description: Name of the Kubernetes node.
    type: str
    required: true
  kubeconfig:
    description: Kubeconfig on the controller; empty means E(KUBECONFIG), else C(~/.kube/config).
    type: path
    default: ""
  context:
    description: Context in the kubeconfig; empty means its current one.
    type: str
    default: ""
  api_timeout:
    description: Seconds for which an API server that does not answer is asked again; 120 if left out.
    type: int
requirements:
  - kubernetes (Python package, on the controller)
"""

    # unshim.cluster: action_run.CLUSTER_OPTIONS of unshim_kube.
    CLUSTER = r"""
options:
  kubeconfig:
    description: Kubeconfig on the controller; empty means E(KUBECONFIG), else C(~/.kube/config).
    type: path
    default: ""
  context:
    description: Context in the kubeconfig; empty means its current one.
    type: str
    default: ""
attributes:
  check_mode:
    details: Looks once and changes nothing.
  diff_mode:
    support: none
    details: There is nothing to show.
requirements:
  - kubernetes (Python package, on the controller)
"""

    # unshim.dind: dind_run.OPTIONS of unshim_kube, but for those of unshim.cluster.
    DIND = r"""
options:
  settings:
    description: The variables C(unshim_dind_...) of the role, without that prefix.
    type: dict
    required: true
  hosts:
    description:
      - Inventory hosts whose C(dind_host) and C(ansible_facts.runtime) say what routes, registries and iptables the nodes have.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    details: The cluster is looked at, and nothing is written.
"""
